/** A standard decorator: calls the object's `changed` after each assignment. */
const observed = <This extends { changed: () => void }, Value>(
  accessor: ClassAccessorDecoratorTarget<This, Value>
): ClassAccessorDecoratorResult<This, Value> => ({
  set(value) {
    accessor.set.call(this, value)
    this.changed()
  }
})

/** How often somebody waved. */
export class Waves {
  @observed
  accessor count = 0

  constructor(readonly changed: () => void) {}
}
