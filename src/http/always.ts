/** What every answer says, whoever asked for what: no browser guesses a type, and no page's address leaves its origin. */
export const always = {
  "x-content-type-options": "nosniff",
  "referrer-policy": "strict-origin-when-cross-origin"
}
