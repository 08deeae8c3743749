// Plain JavaScript beside TypeScript: both are modules of the realm.
import { AnalogClock } from "./AnalogClock"
import { inWords } from "./words.ts"

const clock = new AnalogClock()
document.querySelector("#clock").append(clock.face)

const tick = () => {
  const now = new Date()
  clock.show(now)
  document.querySelector("#words").textContent = inWords(now)
}

tick()
setInterval(tick, 1000)
