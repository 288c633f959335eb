/** A day as `2027-01-31`, in UTC. Such texts are in the order of the days. */
export function spellDay(date: Date): string {
  return date.toISOString().slice(0, 10);
}

/** Whether a text is a day that the calendar has. */
export function isDay(text: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return false;
  const date = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(date.getTime()) && spellDay(date) === text; // 2027-02-30 would become 2027-03-02
}
