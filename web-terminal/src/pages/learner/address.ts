/** Whom the page is about stands behind `#`: that part of an address goes to no server, and into no proxy's log. */
export interface Whom {
  subject: string;
  /** Of operations, who have no course of their own. */
  course?: string;
}

export function learnerAddress({ subject, course }: Whom): string {
  return `/learner#${new URLSearchParams({ subject, ...(course ? { course } : {}) })}`;
}

export function whom(hash: string): Whom | null {
  const said = new URLSearchParams(hash.replace(/^#/, ''));
  const [subject, course] = [said.get('subject'), said.get('course')];
  return subject ? { subject, ...(course ? { course } : {}) } : null;
}
