import { nkeys } from '@nats-io/transport-node'

type KeyPair = ReturnType<typeof nkeys.createUser>

const UNLIMITED = {
  ...{ subs: -1, data: -1, payload: -1, conn: -1, leaf: -1, imports: -1, exports: -1 },
  ...{ wildcards: true, mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 },
}

/** A server's settings for users who prove a key of theirs, and the credentials file of one. */
export function operatorMode(): { readonly settings: readonly string[]; readonly creds: string } {
  const [operator, account, user] = [
    nkeys.createOperator(),
    nkeys.createAccount(),
    nkeys.createUser(),
  ]
  const system = nkeys.createAccount()
  const accountToken = (pair: KeyPair, limits: object) =>
    `${pair.getPublicKey()}: ${token(operator, pair, { type: 'account', limits })}`
  const { mem_storage, disk_storage, streams, consumer, ...plain } = UNLIMITED
  const { subs, data, payload } = UNLIMITED
  const userToken = token(account, user, { type: 'user', pub: {}, sub: {}, subs, data, payload })
  return {
    settings: [
      `operator: ${token(operator, operator, { type: 'operator' })}`,
      `system_account: ${system.getPublicKey()}`,
      'resolver: MEMORY',
      `resolver_preload {`,
      accountToken(account, UNLIMITED),
      accountToken(system, plain),
      '}',
    ],
    creds: [
      '-----BEGIN NATS USER JWT-----',
      userToken,
      '------END NATS USER JWT------',
      '',
      '-----BEGIN USER NKEY SEED-----',
      Buffer.from(user.getSeed()).toString(),
      '------END USER NKEY SEED------',
      '',
    ].join('\n'),
  }
}

/** What one key says of another. */
function token(issuer: KeyPair, subject: KeyPair, nats: object): string {
  const encoded = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const claims = {
    ...{ jti: 'test', iat: 1_795_316_400, name: 'test' },
    ...{ iss: issuer.getPublicKey(), sub: subject.getPublicKey() },
    nats: { ...nats, version: 2 },
  }
  const text = `${encoded({ typ: 'JWT', alg: 'ed25519-nkey' })}.${encoded(claims)}`
  return `${text}.${Buffer.from(issuer.sign(Buffer.from(text))).toString('base64url')}`
}
