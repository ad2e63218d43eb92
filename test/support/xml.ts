const TOKEN = /<(\/?)([a-z][\w-]*)((?: [\w:-]+="[^"<]*")*)\s*(\/?)>|([^<]+)/gy

/** The names of an XML document's elements, in the order of their tags. Throws if it is not well-formed. */
export function elementsOf(text: string): string[] {
  const names: string[] = []
  const open: string[] = []
  TOKEN.lastIndex = 0
  while (TOKEN.lastIndex < text.length) {
    const at = TOKEN.lastIndex
    const [whole = '', end, name, attributes = '', empty, content] = TOKEN.exec(text) ?? []
    if (whole === '') throw new Error(`not well-formed: ${text.slice(at, at + 80)}`)
    checkText(content ?? attributes)
    if (name === undefined) {
      if (open.length === 0 && whole.trim() !== '') throw new Error(`text outside: ${whole}`)
    } else if (end === '/') {
      if (open.pop() !== name) throw new Error(`</${name}> closes another element`)
    } else {
      if (open.length === 0 && names.length > 0) throw new Error(`a second root: ${name}`)
      checkAttributes(attributes)
      names.push(name)
      if (empty === '') open.push(name)
    }
  }
  if (open.length > 0) throw new Error(`not closed: ${open.join(', ')}`)
  return names
}

function checkText(text: string): void {
  const stray = /&(?!(amp|lt|gt|quot|apos);)/.exec(text)
  if (stray !== null) throw new Error(`a bare & in: ${text}`)
}

function checkAttributes(attributes: string): void {
  const names = [...attributes.matchAll(/ ([\w:-]+)=/g)].map(([, name]) => name)
  if (new Set(names).size < names.length) throw new Error(`an attribute twice:${attributes}`)
}
