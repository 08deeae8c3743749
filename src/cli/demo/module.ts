/** The module that the demo edits. Its version is what tells old bytes from new ones. */
export const greeting = (version: number): string =>
  `interface Props {
  readonly name: string
}

export const version: number = ${version}

export const Greeting = ({ name }: Props) => <h1 className="greeting">Hello {name}, this is version {version}</h1>
`

/** One that it leaves alone, and that nobody asks for before a hundred readers do at once. */
export const clock = `export enum Tick {
  Second = 1_000,
  Minute = 60 * Second
}

export const ticks = (millis: number, tick: Tick = Tick.Second): number => Math.floor(millis / tick)
`

/** The version of `greeting` that these bytes were made from; undefined if they are no such module. */
export const versionOf = (javascript: string): number | undefined => {
  const [, version] = /\bversion = (\d+)/.exec(javascript) ?? []
  return version === undefined ? undefined : Number(version)
}
