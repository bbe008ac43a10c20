/** What the server answers to the bytes of a file. */
interface Answer {
  id?: string;
  errors?: { message: string }[];
}

/**
 * Sends a file's bytes to its link and answers with its id; `told` hears which part of them has arrived. `fetch` cannot
 * say how far a body is, so this is the older way.
 */
export function putFile(url: string, file: Blob, told: (part: number) => void, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('PUT', url);
    request.responseType = 'json';
    request.upload.addEventListener('progress', ({ loaded, total }) => told(total > 0 ? loaded / total : 0));
    request.addEventListener('load', () => {
      const answer = request.response as Answer | null;
      if (request.status < 300 && answer?.id) resolve(answer.id);
      else reject(new Error(answer?.errors?.[0]?.message ?? `The server answered with HTTP ${request.status}.`));
    });
    request.addEventListener('error', () => reject(new Error('The connection was lost while the file was sent.')));
    request.addEventListener('abort', () => reject(new Error('The file is no longer wanted.')));
    signal.addEventListener('abort', () => request.abort());
    request.send(file);
  });
}
