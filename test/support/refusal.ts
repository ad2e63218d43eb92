/** What is thrown, as `name: message`; undefined where nothing is. */
export function refusal(action: () => unknown): string | undefined {
  try {
    action()
    return undefined
  } catch (thrown) {
    return String(thrown)
  }
}
