/** The child's half of `Helper`: says that it is ready, then answers each message, and ends when the parent is gone. */
export const answerParent = <Request, Reply>(answer: (request: Request) => Reply | Promise<Reply>): void => {
  process.on("message", async (request) => {
    try {
      process.send?.({ reply: await answer(request as Request) })
    } catch (cause) {
      process.send?.({ failure: cause instanceof Error ? cause.message : String(cause) })
    }
  })
  process.on("disconnect", () => process.exit())
  process.send?.({ reply: "ready" })
}
