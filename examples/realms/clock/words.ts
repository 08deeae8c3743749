enum PartOfDay {
  Night,
  Morning,
  Afternoon,
  Evening
}

const partOf = (hour: number): PartOfDay => Math.floor(hour / 6)

/** `10:07 on Friday morning` */
export const inWords = (time: Date) => {
  const clock = time.toLocaleTimeString("en", { hour: "numeric", minute: "2-digit", hourCycle: "h23" })
  const day = time.toLocaleDateString("en", { weekday: "long" })
  return `${clock} on ${day} ${PartOfDay[partOf(time.getHours())]?.toLowerCase()}`
}
