/** One instruction of a Dockerfile, its continuation lines joined and the comments between them left out. */
export interface Instruction {
  readonly name: string
  readonly text: string
}

export const parseDockerfile = (text: string): ReadonlyArray<Instruction> =>
  text.split("\n").filter((line) => !/^\s*#/.test(line)).join("\n").replace(/\\\n\s*/g, "").split("\n").flatMap(
    (line) => {
      const [, name = "", rest = ""] = /^([A-Z]+)\s+(.*)$/.exec(line.trim()) ?? []
      return name === "" ? [] : [{ name, text: rest }]
    }
  )
