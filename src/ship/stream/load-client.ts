import { codeOf, textOf } from '../../base/describe'
import { StreamError } from './stream-error'

/** A client's module, which only those who ship need to have installed. */
export function loadClient<Client>(load: () => Client, packages: string): Client {
  try {
    return load()
  } catch (thrown) {
    if (codeOf(thrown) !== 'MODULE_NOT_FOUND') throw thrown
    const text = `the client is not installed; run: npm install ${packages} (${textOf(thrown)})`
    throw new StreamError('usage', text, { cause: thrown })
  }
}
