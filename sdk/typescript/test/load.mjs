// The package as it was built: HOODY_SDK=cjs takes the CommonJS build.
import { createRequire } from 'node:module';

const isCjs = process.env.HOODY_SDK === 'cjs';
const require = createRequire(import.meta.url);

/** One module of the build, e.g. `index`. */
export const load = async (name) => (isCjs ? require(`../dist/cjs/${name}.js`) : await import(`../dist/esm/${name}.js`));
