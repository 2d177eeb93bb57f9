/** Lets so many through at once; the others wait in the order they came. */
export interface Slots {
  /** Resolves when there is room; what it gives makes room again. */
  enter(): Promise<() => void>;
}

export function createSlots(width: number): Slots {
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
