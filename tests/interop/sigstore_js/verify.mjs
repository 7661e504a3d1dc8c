// Reads a JSON array of cases from standard input, and writes one verdict for each: null when @sigstore/verify accepts the
// bundle, else why not. A case has `bundle`, `root` (TrustedRoot), `artifact` (base64) and, for a managed key, `keys`
// (PEM by hint).
import { readFileSync } from "node:fs";
import { createPublicKey } from "node:crypto";
import { bundleFromJSON } from "@sigstore/bundle";
import { TrustedRoot } from "@sigstore/protobuf-specs";
import { toSignedEntity, toTrustMaterial, Verifier } from "@sigstore/verify";

function verdict({ bundle, root, artifact, keys, identity }) {
  const parsed = bundleFromJSON(bundle);
  const found = (hint) => {
    if (!(hint in (keys ?? {}))) throw new Error(`key not found: ${hint}`);
    return { publicKey: createPublicKey(keys[hint]), validFor: () => true };
  };
  const material = toTrustMaterial(TrustedRoot.fromJSON(root), found);
  const logged = parsed.verificationMaterial.tlogEntries.length > 0 ? 1 : 0;
  // A certificate needs all of it; a managed key's bundle may have none.
  const needed = keys
    ? { tlogThreshold: logged, ctlogThreshold: 0, timestampThreshold: 0 }
    : { tlogThreshold: 1, ctlogThreshold: 1, timestampThreshold: 1 };
  const policy = identity && { subjectAlternativeName: identity.name, extensions: { issuer: identity.issuer } };
  new Verifier(material, needed).verify(toSignedEntity(parsed, Buffer.from(artifact, "base64")), policy);
}

const verdicts = JSON.parse(readFileSync(0, "utf8")).map((each) => {
  try {
    verdict(each);
    return null;
  } catch (error) {
    return `${error.code ?? error.name}: ${error.message}`;
  }
});
process.stdout.write(JSON.stringify(verdicts));
