// As much of Node's modules as src/node.ts uses: the package has no dependency, not even on types.
declare module 'node:http' {
  interface Answer extends AsyncIterable<Uint8Array> {
    statusCode?: number;
    statusMessage?: string;
    rawHeaders: string[];
    destroy(): void;
  }
  interface Asked {
    on(event: 'error', then: (error: Error) => void): void;
    end(body?: string): void;
  }
  export function request(
    options: { host: string; port: string; path: string; method: string; headers: Record<string, string>; signal?: AbortSignal },
    then: (answer: Answer) => void,
  ): Asked;
}
