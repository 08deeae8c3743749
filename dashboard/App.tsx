/** @jsxImportSource preact */
import { useEffect, useState } from "preact/hooks"
import { Events } from "./Events.tsx"
import { useEvents } from "./eventStream.ts"
import { useFleet } from "./data.ts"
import { Header } from "./Header.tsx"
import { Histograms } from "./Histograms.tsx"
import { ModuleHistory } from "./ModuleHistory.tsx"
import { Origins } from "./Origins.tsx"
import { Queue } from "./Queue.tsx"
import { Realms } from "./Realms.tsx"
import { Replicas } from "./Replicas.tsx"
import { Tiles } from "./Tiles.tsx"
import { TokenForm } from "./TokenForm.tsx"

/** A module's history has an address: `#module=<url>`. */
const moduleOf = (hash: string): string => new URLSearchParams(hash.replace(/^#/, "")).get("module") ?? ""

export const App = () => {
  const [isPaused, setPaused] = useState(false)
  const [match, setMatch] = useState("")
  // Counted up whenever a token was given or taken back: whoever asks begins anew.
  const [credentials, setCredentials] = useState(0)
  const [module, setModule] = useState(moduleOf(location.hash))
  const { failure, fleet, isUnauthorized } = useFleet(match, isPaused, credentials)
  const live = useEvents(isPaused, credentials)

  useEffect(() => {
    const follow = () => setModule(moduleOf(location.hash))
    addEventListener("hashchange", follow)
    return () => removeEventListener("hashchange", follow)
  }, [])

  const show = (url: string) => {
    location.hash = url === "" ? "" : `module=${encodeURIComponent(url)}`
    document.getElementById("module-heading")?.focus()
  }

  return (
    <>
      <a class="skip" href="#main">Skip to the fleet</a>
      <Header
        fleet={fleet}
        failure={isUnauthorized ? undefined : failure}
        isPaused={isPaused}
        onPause={setPaused}
        onForget={() => setCredentials((before) => before + 1)}
      />
      <main id="main" tabIndex={-1}>
        {isUnauthorized
          ? <TokenForm failure={failure} onGiven={() => setCredentials((before) => before + 1)} />
          : fleet === undefined
          ? <p class="waiting" role="status">Asking the fleet…</p>
          : (
            <>
              <Tiles fleet={fleet} />
              <div class="columns">
                <div class="column">
                  <Replicas fleet={fleet} />
                  <Origins fleet={fleet} />
                  <Histograms fleet={fleet} />
                  <Realms fleet={fleet} match={match} onMatch={setMatch} />
                  <Queue jobs={fleet.jobs} />
                </div>
                <div class="column aside">
                  <Events live={live} isPaused={isPaused} now={fleet.at} onModule={show} />
                </div>
              </div>
              <ModuleHistory url={module} onAsk={show} />
            </>
          )}
      </main>
      <footer>
        <p>
          As <strong>{fleet?.askedReplicaId ?? "a replica"}</strong> sees it. Figures count since each replica started.
          {" "}
          <a href="_fleet">Fleet as JSON</a> <a href="_status">Status as JSON</a>
        </p>
      </footer>
    </>
  )
}
