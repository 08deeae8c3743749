/** Types of documents that run scripts where a browser opens them. */
const active = /^(?:text\/html|image\/svg|(?:application|text)\/(?:[\w.-]+\+)?xml|application\/mathml)/i

/**
 * What a realm's author wrote may do where it is opened at the origin that the management is at: run, in an origin of its
 * own. It has neither the storage nor the credentials of that origin, and a write of its is another origin's.
 */
const policy =
  "sandbox allow-downloads allow-forms allow-modals allow-popups allow-popups-to-escape-sandbox allow-scripts"

/** Headers for a document of a realm at the management's origin; none for what is no document. */
export const sandboxOf = (contentType: string): Readonly<Record<string, string>> =>
  active.test(contentType) ? { "content-security-policy": policy } : {}
