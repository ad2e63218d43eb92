import { codeOf } from '../../base/describe'

const TRUST =
  'name the file of its authority in NODE_EXTRA_CA_CERTS if it is yours, else find out who answers there'
const RENEW = "renew it, or set the machine's clock"

/** What to do about a server's certificate, by the code that Node.js refuses it with. */
const ADVICE = new Map([
  ['DEPTH_ZERO_SELF_SIGNED_CERT', TRUST],
  ['SELF_SIGNED_CERT_IN_CHAIN', TRUST],
  ['UNABLE_TO_GET_ISSUER_CERT', TRUST],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', TRUST],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', TRUST],
  ['CERT_SIGNATURE_FAILURE', TRUST],
  ['CERT_UNTRUSTED', TRUST],
  ['INVALID_CA', TRUST],
  ['CERT_HAS_EXPIRED', RENEW],
  ['CERT_NOT_YET_VALID', RENEW],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'give the host name that the certificate has'],
])

/** What to do about an error, if it is a certificate that is not trusted. */
export function adviceOnCertificate(thrown: unknown): string | undefined {
  return ADVICE.get(codeOf(thrown) ?? '')
}
