/** @jsxImportSource ./jsx */
// Served as JavaScript, and everything it imports too. Names without an extension work, names with one as well.
import { Greeting } from "./Greeting"
import greetings from "./greetings.json" with { type: "json" }
import { Language, Languages } from "./language.ts"
import { Waves } from "./Waves"

let language = Language.English
const waves = new Waves(() => draw())

const speak = (next: Language) => {
  language = next
  draw()
}

const draw = () => {
  document.documentElement.lang = language
  document.querySelector("#app")?.replaceChildren(
    <>
      <img class="logo" src="./logo.svg" alt="" />
      <Greeting text={greetings[language]} waves={waves.count} onWave={() => waves.count++} />
      <nav>
        {Languages.all.map((each) => (
          <button class={each === language ? "chosen" : ""} onClick={() => speak(each)}>
            {Languages.nameOf(each)}
          </button>
        ))}
      </nav>
      <footer>
        <img src="./badge.png" width="16" height="16" alt="" />
        <span>also here:</span>
        <a href="../people/index.html">people</a>
        <a href="../clock/index.html">clock</a>
      </footer>
    </>
  )
}

draw()
