// What failed, in full; how many passed.
import { inspect } from 'node:util';

export default async function* report(source) {
  let passed = 0;
  for await (const { type, data } of source) {
    if (type === 'test:pass') passed += 1;
    else if (type === 'test:fail') yield `FAILED ${data.file ?? ''} ${data.name}\n${inspect(data.details.error.cause ?? data.details.error)}\n`;
    else if (type === 'test:stderr') yield data.message;
  }
  yield `${passed} passed\n`;
}
