import type { Circumstance } from "./Plan.ts"

/** One bug: in these files, this text is replaced by that one. */
export interface Mutant {
  readonly name: string
  /** What somebody would have got wrong. */
  readonly bug: string
  readonly edits: ReadonlyArray<{ readonly file: string; readonly find: string; readonly replace: string }>
  /** What a seed must have drawn for the bug to show: others would only cost time. */
  readonly under?: Circumstance
}

const mutant = (name: string, bug: string, file: string, find: string, replace: string): Mutant => ({
  name,
  bug,
  edits: [{ file, find, replace }]
})

const and = (first: Mutant, file: string, find: string, replace: string): Mutant => ({
  ...first,
  edits: [...first.edits, { file, find, replace }]
})

const under = (circumstance: Circumstance, bug: Mutant): Mutant => ({ ...bug, under: circumstance })

const barrier = "src/coordination/Barrier.ts"
const cacheTable = "src/store/CacheTable.ts"
const engine = "src/cache/CoherentCache.ts"
const generations = "src/coordination/Generations.ts"
const lease = "src/coordination/Lease.ts"
const memory = "src/coordination/RealmMemory.ts"
const messages = "src/coordination/changeMessages.ts"
const publish = "src/lifecycle/publish.ts"
const realmTable = "src/store/RealmTable.ts"
const requestedRealm = "src/http/RequestedRealm.ts"
const sourceCache = "src/cache/SourceCache.ts"
const versionTable = "src/store/RealmVersionTable.ts"

/** Real bugs, one line each where one line will do. The simulation must catch every one of them. */
export const mutants: ReadonlyArray<Mutant> = [
  // The lease
  mutant(
    "lease-not-checked",
    "memory answers whether or not the lease is held",
    generations,
    "const known = lease.isHeld() ? memory.lookUp(urls) : undefined",
    "const known = memory.lookUp(urls)"
  ),
  under(
    "late",
    mutant(
      "lease-from-reply",
      "the lease is counted from the reply, not from before the renewal was sent",
      lease,
      "    until = sentAt + span\n    wallUntil = sentAtWall + span\n",
      "    until = monotonic() + span\n    wallUntil = clock.currentTimeMillisUnsafe() + span\n"
    )
  ),
  and(
    mutant(
      "lease-by-timer",
      "a timer ends the lease instead of a look at the clock",
      lease,
      "if (monotonic() < until && clock.currentTimeMillisUnsafe() < wallUntil) return true",
      "if (held) return true"
    ),
    lease,
    "    held = true\n    Deferred.doneUnsafe(granted",
    `    held = true
    const ending = until
    yield* Effect.forkDetach(Effect.andThen(Effect.sleep(span), Effect.sync(() => {
      if (until === ending) held = false
    })))
    Deferred.doneUnsafe(granted`
  ),
  under(
    "wall clock steps",
    mutant(
      "wall-clock",
      "the lease is measured on the wall clock only",
      lease,
      "if (monotonic() < until && clock.currentTimeMillisUnsafe() < wallUntil) return true",
      "if (clock.currentTimeMillisUnsafe() < wallUntil) return true"
    )
  ),
  under(
    "opposed",
    mutant(
      "drift-ignored-by-holder",
      "the lease lasts its whole length on a clock that may run slow",
      lease,
      "const span = self.leaseMillis * (1 - drift)",
      "const span = self.leaseMillis"
    )
  ),
  under(
    "opposed",
    mutant(
      "drift-ignored-by-publisher",
      "the publisher waits for the lease's length on a clock that may run fast",
      barrier,
      "const longest = Math.max(0, ...others.map((member) => member.leaseMillis)) * (1 + drift)",
      "const longest = Math.max(0, ...others.map((member) => member.leaseMillis))"
    )
  ),
  under(
    "late",
    mutant(
      "grant-before-apply",
      "the lease is granted when the membership is renewed, before the catch-up is applied",
      lease,
      "    const caughtUp = yield* session.catchUp(position?.cursor)\n",
      "    until = sentAt + span\n    wallUntil = sentAtWall + span\n" +
        "    const caughtUp = yield* session.catchUp(position?.cursor)\n"
    )
  ),
  under(
    "late",
    mutant(
      "register-after-catch-up",
      "the membership is made after the generations were read",
      lease,
      "    if (!(yield* session.renew)) yield* session.register\n    const caughtUp = yield* session.catchUp(position?.cursor)\n",
      "    const caughtUp = yield* session.catchUp(position?.cursor)\n    if (!(yield* session.renew)) yield* session.register\n"
    )
  ),
  mutant(
    "no-membership-needed",
    "a renewal that finds no membership grants a lease all the same",
    lease,
    "if (!(yield* session.renew)) yield* session.register",
    "if (!(yield* session.renew) && position === undefined) yield* session.register"
  ),
  // The catch-up
  mutant(
    "notification-only",
    "what the catch-up finds is not applied: notifications are trusted",
    lease,
    "realms: continuous ? caughtUp.realms : [], continuous }",
    "realms: [], continuous }"
  ),
  under(
    "crashes",
    mutant(
      "cursor-over-crash",
      "a cursor is kept although the database's incarnation has changed",
      lease,
      "    const continuous = sameDatabase && !wentBack\n",
      "    const continuous = position !== undefined\n"
    )
  ),
  mutant(
    "cursor-past-open",
    "the next catch-up starts at the newest transaction, not at the oldest that was open",
    "test/simulation/sessions.ts",
    "cursor: String(postgres.xmin)",
    "cursor: String(postgres.newest)"
  ),
  mutant(
    "cursor-before-read",
    "the cursor moves on although the catch-up was not applied",
    messages,
    "        for (const { generation, realmUrl } of event.realms) {\n",
    "        for (const { generation, realmUrl } of event.realms.slice(1)) {\n"
  ),
  and(
    mutant(
      "cursor-not-kept",
      "a new session starts its catch-up at the present, as if nothing had moved while it was away",
      lease,
      "    const session = yield* sessions.open(self)\n",
      "    const session = yield* sessions.open(self)\n    position = undefined\n"
    ),
    lease,
    "const sameDatabase = position?.identity",
    "const sameDatabase = position === undefined || position.identity"
  ),
  // What a replica knows
  mutant(
    "gap-as-in-order",
    "a generation that skips one is taken as the next",
    memory,
    "const inOrder = generation === realm.generation + 1",
    "const inOrder = true"
  ),
  mutant(
    "stale-version-pointer",
    "the row, with its directory, is kept under a newer generation",
    memory,
    "      realm.fence.drop()\n      realm.row = undefined\n    } else {",
    "      realm.fence.drop()\n      if (realm.row !== undefined) realm.row = { ...realm.row, generation }\n    } else {"
  ),
  mutant(
    "row-without-fence",
    "a new row is taken without voiding what was made under the old one",
    memory,
    "      realm.fence.drop()\n      realm.row = undefined\n    } else {",
    "      realm.row = undefined\n    } else {"
  ),
  under(
    "overtaken readings",
    mutant(
      "reading-not-voided",
      "a row that was being read when a newer generation was heard is taken",
      memory,
      "for (const { heard } of this.#readings) heard.set(realmUrl, Math.max(generation, heard.get(realmUrl) ?? 0))",
      ""
    )
  ),
  under(
    "overtaken readings",
    mutant(
      "older-row-taken",
      "a row is taken although a newer generation was heard or shown",
      memory,
      "if ((row?.generation ?? 0) < Math.max(known?.generation ?? 0, reading.heard.get(url) ?? 0)) return undefined\n",
      "\n"
    )
  ),
  under(
    "crashes",
    mutant(
      "reset-leaves-readings",
      "a row that was being read when PostgreSQL crashed is taken under the new incarnation",
      memory,
      "    for (const reading of this.#readings) reading.void = true\n",
      ""
    )
  ),
  under(
    "crashes",
    mutant(
      "reset-leaves-realms",
      "what was known before a crash of PostgreSQL is kept after it",
      messages,
      "if (!event.continuous) return memory.reset()",
      "if (!event.continuous) return"
    )
  ),
  mutant(
    "absence-kept",
    "that there is no such realm stays known when it is published",
    memory,
    "    this.#absent.delete(realmUrl)\n    const realm",
    "    const realm"
  ),
  mutant(
    "alias-kept",
    "a change to person.gts leaves the alias person alone",
    memory,
    "  if (alias !== undefined) fence.invalidate(alias)\n",
    ""
  ),
  mutant(
    "question-joins-earlier",
    "a question is answered by one that was sent before it was asked",
    generations,
    "    const batch = next\n    next = undefined\n    if (batch === undefined) {",
    "    const batch = next\n    if (batch === undefined || Deferred.isDoneUnsafe(batch.views)) {\n      next = undefined"
  ),
  under(
    "serve",
    mutant(
      "absence-unmarked",
      "without PostgreSQL, that there is no such realm is said from memory and without a warning",
      generations,
      "if (known === undefined || known.length === 0) return yield* error",
      "if (known === undefined) return yield* error"
    )
  ),
  under(
    "serve",
    mutant(
      "unconfirmed-unmarked",
      "without PostgreSQL, memory is served without a warning",
      generations,
      "return known.map((view): RealmView => ({ ...view, unconfirmed: true }))",
      "return known"
    )
  ),
  and(
    mutant(
      "token-not-enforced",
      "the least generation that a request insists on is not looked at",
      requestedRealm,
      "  return enough || named === 0 ? known :",
      "  return enough || known !== undefined || named === 0 ? known :"
    ),
    requestedRealm,
    "  if (token > current) return",
    "  if (token > current && version !== undefined) return"
  ),
  mutant(
    "newest-for-any-version",
    "a request for @generation is answered from the newest version",
    versionTable,
    "rows.find((row) => row.generation <= generation)",
    "rows[0]"
  ),
  // Acknowledgements
  and(
    mutant(
      "ack-before-apply",
      "a generation is acknowledged when it is heard and applied with the next message",
      messages,
      "    memory.apply(change)\n    applied(change.realmUrl, generation, publisher)\n    echoes",
      "    late()\n    late = () => memory.apply(change)\n    applied(change.realmUrl, generation, publisher)\n    echoes"
    ),
    messages,
    "  const echoes = new Echoes()\n",
    "  const echoes = new Echoes()\n  let late = () => {}\n"
  ),
  mutant(
    "ack-any-generation",
    "an acknowledgement of any generation counts",
    barrier,
    "if (generation >= watch.generation) acknowledged(watch, b)",
    "if (generation > 0) acknowledged(watch, b)"
  ),
  under(
    "twins",
    mutant(
      "ack-across-boots",
      "twins are one member: the boot's id is the replica's",
      "src/coordination/Membership.ts",
      "bootId: crypto.randomUUID()",
      "bootId: replicaId"
    )
  ),
  under(
    "calm",
    mutant(
      "ack-to-oneself",
      "an acknowledgement is sent to the boot that makes it",
      lease,
      "session.acknowledge(payload, to)",
      "session.acknowledge(payload, self.bootId)"
    )
  ),
  // The barrier
  mutant(
    "no-barrier",
    "a publish returns without waiting for anybody",
    barrier,
    "if (watch.waiting.size > 0) {",
    "if (watch.waiting.size > 1e9) {"
  ),
  mutant(
    "barrier-gives-up",
    "a publish waits a tenth of the lease for replicas that do not answer",
    barrier,
    "Math.min(longest, patience)",
    "Math.min(longest / 10, patience)"
  ),
  under(
    "different leases",
    mutant(
      "own-lease-only",
      "a publisher waits for as long as its own lease, whatever the others' are",
      barrier,
      "const longest = Math.max(0, ...others.map((member) => member.leaseMillis)) * (1 + drift)",
      "const longest = lease.self.leaseMillis * (1 + drift)"
    )
  ),
  under(
    "held forgetting",
    mutant(
      "forgets-who-renewed",
      "a member is forgotten although it has renewed since",
      "src/store/ReplicaTable.ts",
      "if (tables.replicas.get(bootId)?.renewals === renewals) tables.replicas.delete(bootId)",
      "tables.replicas.delete(bootId)"
    )
  ),
  mutant(
    "forgets-too-early",
    "a member counts as dead after a third of its lease without a renewal",
    barrier,
    "(silence.get(member.bootId)?.since ?? now) >= member.leaseMillis * (1 + drift)",
    "(silence.get(member.bootId)?.since ?? now) >= member.leaseMillis / 3"
  ),
  mutant(
    "silence-from-first-sight",
    "a member counts as dead a lease after it was first seen, renewed or not",
    barrier,
    "if (silence.get(bootId)?.renewals !== renewals) silence.set",
    "if (!silence.has(bootId)) silence.set"
  ),
  // Publishing
  mutant(
    "clear-before-commit-only",
    "the publisher's own memory is cleared before the commit and not after",
    publish,
    "  yield* invalidation.clearLocalSourceCaches(change)\n",
    ""
  ),
  under(
    "acknowledgements before news",
    mutant(
      "write-not-applied-here",
      "whoever writes goes on answering from its memory until it hears of it",
      "src/lifecycle/Invalidation.ts",
      "        yield* clearLocalSourceCaches(change)\n        return change\n",
      "        return change\n"
    )
  ),
  under(
    "acknowledgements before news",
    mutant(
      "unpublish-not-applied-here",
      "whoever unpublishes goes on answering from its memory until it hears of it",
      "src/lifecycle/retire.ts",
      "    yield* invalidation.clearLocalSourceCaches(change)\n",
      ""
    )
  ),
  under(
    "lost replies to commits",
    mutant(
      "finished-not-applied-here",
      "a batch that another replica finished is not applied by who wrote it",
      "src/lifecycle/edit.ts",
      "  yield* invalidation.clearLocalSourceCaches(change)\n",
      ""
    )
  ),
  under(
    "struck commits",
    mutant(
      "commit-of-another",
      "a publish whose reply was lost takes whatever is published by now for its own",
      publish,
      "if (row?.state !== \"live\" || row.directory !== directory) return yield* error",
      "if (row?.state !== \"live\") return yield* error"
    )
  ),
  under(
    "lost write locks",
    mutant(
      "commit-without-comparison",
      "a publish commits whatever the realm's generation is by now",
      realmTable,
      "if ((tables.realms.get(realm.realmUrl)?.generation ?? 0) !== expected) return Option.none<number>()\n",
      ""
    )
  ),
  under(
    "struck copies",
    mutant(
      "copy-not-announced",
      "a publish commits a copy that the sweeper has taken away",
      versionTable,
      "if (!tables.copies.delete(directory)) return false",
      "tables.copies.delete(directory)"
    )
  ),
  under(
    "struck copies",
    mutant(
      "copy-not-swept",
      "the sweeper removes a copy and leaves its announcement",
      versionTable,
      "              for (const { directory } of old) tables.copies.delete(directory)\n",
      ""
    )
  ),
  under(
    "struck commits",
    mutant(
      "copy-removed-unproven",
      "a publish whose commit was not confirmed removes its files",
      publish,
      "if (!kept.some((version) => version.directory === directory)) yield* files",
      "yield* files"
    )
  ),
  under(
    "collections",
    mutant(
      "newest-version-expires",
      "the collector does not spare the version that is served",
      versionTable,
      "newer.length >= keep && supersededAt <",
      "row.createdAtMillis <"
    )
  ),
  under(
    "lost write locks",
    mutant(
      "moved-source-published",
      "a publisher that lost its locks does not look whether its source has moved while it was copied",
      publish,
      "if (moved || isBeingMoved) {",
      "if (isBeingMoved) {"
    )
  ),
  under(
    "lost write locks",
    mutant(
      "open-batch-published",
      "a publisher that lost its locks does not look whether a batch is being applied to its source",
      publish,
      "if (moved || isBeingMoved) {",
      "if (moved) {"
    )
  ),
  // L1
  mutant(
    "hit-without-fence",
    "an entry is served although its path was voided",
    engine,
    "made.contentKey === contentKey && made.fence.holds(made.token, path)",
    "made.contentKey === contentKey"
  ),
  mutant(
    "joined-without-fence",
    "a reader joins a run that began before the change that it must see",
    engine,
    "if (flying !== undefined && holds(flying, key)) {",
    "if (flying !== undefined) {"
  ),
  and(
    mutant(
      "fill-without-fence",
      "a run fills L1 as of its end, though the path was voided since it began",
      engine,
      "if (Exit.isSuccess(exit) && flight.fence.holds(flight.token, flight.path)) {",
      "if (Exit.isSuccess(exit)) {"
    ),
    engine,
    "const { contentKey, fence, token } = flight\n",
    "const { contentKey, fence } = flight\n        const token = fence.capture()\n"
  ),
  under(
    "slow files",
    mutant(
      "token-after-read",
      "a file's token is taken when it has been read",
      sourceCache,
      "          const { fence, token } = view\n",
      "          const { fence } = view\n          const token = fence.capture()\n"
    )
  ),
  under(
    "crashes",
    mutant(
      "fence-of-another-life",
      "a file's token is held against the fence of the realm as it was known anew",
      sourceCache,
      "entry.fence === view.fence &&",
      "true &&"
    )
  ),
  under(
    "disconnects",
    mutant(
      "first-leaver-stops-all",
      "a run stops when one of its readers leaves",
      engine,
      "if (--flight.waiters > 0) return Effect.void",
      "if (--flight.waiters > 1e9) return Effect.void"
    )
  ),
  under(
    "disconnects",
    mutant(
      "stopped-run-stays",
      "a run that its last reader has stopped stays in the book",
      engine,
      "        if (flights.get(id) === flight) flights.delete(id)\n        return flight.fiber",
      "        return flight.fiber"
    )
  ),
  mutant(
    "source-fence-not-checked",
    "a cached file is served although it was voided",
    sourceCache,
    "view.fence.holds(entry.token, path) && view.fence.holds(entry.token, entry.file.canonicalPath)",
    "entry.token >= 0"
  ),
  // L2
  mutant(
    "floor-not-read",
    "a row from before the last wipe is a hit",
    cacheTable,
    "row?.values && row.generation >= floor && row.contentKey",
    "row?.values && row.contentKey"
  ),
  mutant(
    "floor-not-raised",
    "a publish does not raise the floor of definitions",
    realmTable,
    "                wipeFloor: generation,\n                definitionFloor: generation,\n                state: \"live\"",
    "                wipeFloor: generation,\n                definitionFloor: tables.realms.get(realm.realmUrl)?.definitionFloor ?? 0,\n                state: \"live\""
  ),
  mutant(
    "wipe-not-raised",
    "invalidating a realm does not raise the floor of definitions",
    realmTable,
    "definitionFloor: scope === \"paths\" ? row.definitionFloor : generation\n          })),",
    "definitionFloor: row.definitionFloor\n          })),"
  ),
  mutant(
    "tombstone-not-written",
    "an invalidated path leaves no tombstone",
    "src/lifecycle/Invalidation.ts",
    "            yield* definitions.bury(realmUrl, modules, generation.value)\n",
    ""
  ),
  mutant(
    "tombstone-for-known-only",
    "a path without a row gets no tombstone",
    cacheTable,
    "if (existing === undefined || existing.generation < generation) {",
    "if (existing !== undefined && existing.generation < generation) {"
  ),
  under(
    "slow writes",
    mutant(
      "write-over-newer",
      "a slow writer replaces a newer row or tombstone",
      cacheTable,
      "token.generation < floor || existing > token.generation) {",
      "token.generation < floor) {"
    )
  ),
  under(
    "crashes",
    mutant(
      "incarnation-not-checked",
      "a writer from before a crash of PostgreSQL is let in after it",
      cacheTable,
      "if (token.incarnation !== tables.incarnation || token.generation",
      "if (token.generation"
    )
  ),
  under(
    "outlived work",
    mutant(
      "insert-floor-not-checked",
      "a writer is let in whose tombstone was collected",
      cacheTable,
      "Math.max(tables.realms.get(realmUrl)?.[floorName] ?? 0, tables.insertFloors.get(realmUrl) ?? 0)",
      "tables.realms.get(realmUrl)?.[floorName] ?? 0"
    )
  ),
  // Coalescing
  under(
    "healthy",
    mutant(
      "woken-before-row",
      "the winner gives its lock back before its row is written",
      "src/cache/populate.ts",
      "const accepted = yield* options.shared.write(realmUrl, path, contentKey, token, value).pipe(\n      Effect.catch(lost(true))\n    )",
      "yield* Effect.forkDetach(Effect.ignore(options.shared.write(realmUrl, path, contentKey, token, value)))\n    const accepted = true"
    )
  ),
  under(
    "healthy",
    mutant(
      "winner-does-not-look",
      "the winner does not look for the row that came before its lock",
      "src/cache/populate.ts",
      "          Option.isSome(row) ? Effect.succeed({ value: row.value, origin: \"joined\" }) : work",
      "          Option.isSome(row) ? work : work"
    )
  ),
  under(
    "healthy",
    mutant(
      "lock-kept",
      "the winner does not give its lock back",
      "src/coordination/PopulateCoordinator.ts",
      "Effect.ensuring(Effect.asSome(restore(run)), locks.release(key))",
      "Effect.asSome(restore(run))"
    )
  ),
  under(
    "healthy",
    mutant(
      "no-coordination",
      "everybody who finds no row computes one",
      "src/coordination/PopulateCoordinator.ts",
      "held ? Effect.ensuring(Effect.asSome(restore(run)), locks.release(key)) : Effect.succeedNone",
      "held ? Effect.ensuring(Effect.asSome(restore(run)), locks.release(key)) : Effect.asSome(restore(run))"
    )
  )
]
