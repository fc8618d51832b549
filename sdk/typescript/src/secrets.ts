const SECRETS = /hdy_[0-9A-Za-z]{20,}|eyJ[\w-]+\.[\w-]+\.[\w-]+|whsec_[\w+/=-]{16,}/g;

/** The text with every credential in it masked. */
export function mask(text: string): string {
  return text.replace(SECRETS, (found) => `${found.slice(0, found.startsWith('eyJ') ? 3 : found.indexOf('_') + 1)}***`);
}

/** The same for everything below a JSON value. */
export function maskAll(value: unknown): unknown {
  if (typeof value === 'string') return mask(value);
  if (Array.isArray(value)) return value.map(maskAll);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, maskAll(one)]));
}
