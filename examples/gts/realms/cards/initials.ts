/** The first letters of a name, two at most: a helper for templates. */
export const initials = (name: string): string =>
  name.split(/\s+/).slice(0, 2).map((word) => word.charAt(0).toUpperCase()).join("")
