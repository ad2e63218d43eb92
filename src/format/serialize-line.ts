import type { AuditLine } from './line'
import * as serializers from './line-serializers'

/** Writes an event as its line, newline included. */
export function serialize(line: AuditLine): string {
  switch (line.event) {
    case 'request':
      return `${serializers.request(line)}\n`
    case 'started':
      return `${serializers.started(line)}\n`
    case 'warning':
      return `${serializers.warning(line)}\n`
    case 'exit':
      return `${serializers.exit(line)}\n`
    case 'denial':
      return `${serializers.denial(line)}\n`
  }
}
