/** Number of single-character edits (insert, delete, replace, swap of neighbours) between two words. */
function distance(a: string, b: string): number {
  let previous: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? (previous[j - 2] ?? 0) + 1 : Infinity;
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, replaced, swapped));
    }
    previous = row;
    row = next;
  }
  return row[b.length] ?? Infinity;
}

/** The candidate that a misspelt word most likely means, or undefined when none is near (a third of the letters, at least one). */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  if (word.length > 64) return undefined;
  const limit = Math.max(1, Math.floor(word.length / 3));
  let best: { name: string; edits: number } | undefined;
  for (const name of candidates) {
    if (Math.abs(name.length - word.length) > limit) continue;
    const edits = name.toLowerCase() === word.toLowerCase() ? 0 : distance(word, name);
    if (edits <= limit && (best === undefined || edits < best.edits || (edits === best.edits && name < best.name))) best = { name, edits };
  }
  return best?.name;
}
