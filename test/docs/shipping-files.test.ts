import { readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { parse as parseToml } from 'smol-toml'
import { textOf } from '../support/documents'
import { SHIPPING, shipped } from '../support/shipping'

/** The one that typedoc reads its configuration with. */
const { parse: parseYaml }: { parse(text: string): unknown } = createRequire(
  join(__dirname, '../../node_modules/typedoc/package.json'),
)('yaml')

const LOG = '/var/log/gateway/exec.log'
const ROTATED = [LOG, `${LOG}-*`]
const COMPRESSED = ['/var/log/gateway/*.gz']

describe('the files of docs/shipping', () => {
  it('are all named in docs/shipping.md', () => {
    const page = textOf('docs/shipping.md')
    const files = readdirSync(SHIPPING)
    expect(files.filter((name) => !page.includes(`| \`${name}\``))).toEqual([])
    expect(files.length).toBe(6)
  })

  it('for Vector are TOML whose sink reads from the source, and allow lines of 2 MiB', () => {
    expect(parseToml(shipped('vector.toml'))).toEqual({
      sources: {
        exec_audit: {
          type: 'file',
          include: ROTATED,
          exclude: COMPRESSED,
          read_from: 'beginning',
          oldest_first: true,
          max_line_bytes: 2 * 1024 * 1024,
        },
      },
      sinks: {
        audit_store: {
          type: 'http',
          inputs: ['exec_audit'],
          uri: 'https://logs.example.com/exec-audit',
          method: 'post',
          encoding: { codec: 'text' },
          framing: { method: 'newline_delimited' },
          acknowledgements: { enabled: true },
        },
      },
    })
  })

  it('for the OpenTelemetry Collector are YAML whose pipeline names only existing parts', () => {
    expect(parseYaml(shipped('otel-collector.yaml'))).toEqual({
      extensions: {
        file_storage: {
          directory: '/var/lib/otelcol/exec-audit',
          create_directory: true,
          fsync: true,
        },
      },
      receivers: {
        filelog: {
          include: ROTATED,
          exclude: COMPRESSED,
          start_at: 'beginning',
          max_log_size: '2MiB',
          storage: 'file_storage',
          retry_on_failure: { enabled: true, max_elapsed_time: '0s' },
          operators: [
            {
              type: 'json_parser',
              parse_from: 'body',
              parse_to: 'attributes',
              timestamp: {
                parse_from: 'attributes.ts_unix_ms',
                layout_type: 'epoch',
                layout: 'ms',
              },
            },
          ],
        },
      },
      exporters: {
        otlphttp: {
          endpoint: 'https://logs.example.com:4318',
          sending_queue: { storage: 'file_storage' },
          retry_on_failure: { max_elapsed_time: '0s' },
        },
      },
      service: {
        extensions: ['file_storage'],
        pipelines: { logs: { receivers: ['filelog'], exporters: ['otlphttp'] } },
      },
    })
  })

  it('for Fluent Bit are YAML whose output matches the tag of the input', () => {
    expect(parseYaml(shipped('fluent-bit.yaml'))).toEqual({
      service: {
        flush: 1,
        'storage.path': '/var/lib/fluent-bit/exec-audit',
        'storage.sync': 'full',
      },
      pipeline: {
        inputs: [
          {
            name: 'tail',
            tag: 'exec-audit',
            path: LOG,
            db: '/var/lib/fluent-bit/exec-audit.db',
            'db.sync': 'full',
            read_from_head: true,
            buffer_chunk_size: '64k',
            buffer_max_size: '2m',
            rotate_wait: 60,
            'storage.type': 'filesystem',
          },
        ],
        outputs: [
          {
            name: 'http',
            match: 'exec-audit',
            host: 'logs.example.com',
            port: 443,
            uri: '/exec-audit',
            tls: 'on',
            format: 'json_lines',
            json_date_key: false,
            retry_limit: 'no_limits',
          },
        ],
      },
    })
  })
})
