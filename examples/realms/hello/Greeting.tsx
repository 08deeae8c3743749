/** @jsxImportSource ./jsx */

interface GreetingProps {
  readonly text: string
  readonly waves: number
  readonly onWave: () => void
}

export const Greeting = ({ onWave, text, waves }: GreetingProps) => (
  <section>
    <h1>{text}</h1>
    <button class="wave" onClick={onWave}>
      {waves === 0 ? "wave back" : `waved ${waves === 1 ? "once" : `${waves} times`}`}
    </button>
  </section>
)
