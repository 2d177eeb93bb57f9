/** Lets a limited number of tasks run at once; the others wait in the order they came. */
export interface Semaphore {
  /** Resolves when there is room. Call the function it returns to make room again. */
  enter(): Promise<() => void>;
}

export function createSemaphore(width: number): Semaphore {
  const waiting: (() => void)[] = [];
  let free = width;

  function leave(): void {
    const next = waiting.shift();
    if (next === undefined) free += 1;
    else next();
  }

  return {
    async enter() {
      if (free > 0) free -= 1;
      else await new Promise<void>((go) => waiting.push(go));
      return leave;
    },
  };
}
