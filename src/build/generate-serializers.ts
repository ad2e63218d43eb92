import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fastJson from 'fast-json-stringify'
import { LINE_SCHEMAS } from '../format/line'

/** Writes the precompiled serializer of each event into one module, `line-serializers.js`. */
function generate(): void {
  const parts = Object.entries(LINE_SCHEMAS).map(([event, schema]) => {
    const code: unknown = fastJson(schema, { mode: 'standalone' })
    return `exports.${event} = ((module) => {${String(code)}\nreturn module.exports })({ exports: {} })\n`
  })
  writeFileSync(
    join(__dirname, '../format/line-serializers.js'),
    `'use strict'\n${parts.join('\n')}`,
  )
}

generate()
