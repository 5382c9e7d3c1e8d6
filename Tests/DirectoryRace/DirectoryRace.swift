public import Directory
internal import Glibc
internal import Synchronization

/// Two servers' reports for one hot key, at the same moments, while its window is moved and
/// somebody watches: what must hold of {completed version, replica set} at any moment and after.
///
/// Which servers report a version follows from the version alone, so that a set that does not
/// belong to its version shows. In each round both report the last version: both must be in the
/// set when the round is over, or a record was lost.
public enum DirectoryRace {
  /// Records a version for a server; false: it was refused, as it may be under contention.
  public typealias Reporter = (_ version: UInt64) -> Bool

  /// The servers that report a version, as a set.
  public static func reporters(of version: UInt64) -> UInt32 {
    switch version % 4 {
    case 1: 0b01
    case 2: 0b10
    default: 0b11
    }
  }

  /// Runs up to `rounds` rounds of `versions` versions (a multiple of 4) and returns what was
  /// violated first, or nil. `entry` is hot, `first` is a multiple of 4, and completed is the
  /// version before it. `reporter` is called on the thread that is to use it. `settle` waits until
  /// what was reported has arrived; without it, it has when the reporter returns. `rebase` moves
  /// the window.
  public static func run(
    _ memory: DirectoryMemory, entry: UInt32, first: UInt64, rounds: Int, versions: UInt64,
    settle: (@Sendable () -> Void)? = nil,
    rebase: (@Sendable () -> Void)? = nil,
    reporter: @escaping @Sendable (_ server: UInt8) -> Reporter
  ) -> String? {
    let race = Race(
      memory: memory, entry: entry, first: first, rounds: rounds, versions: versions,
      settle: settle ?? {}, rebase: rebase ?? { memory.apply(.rebase(entry: entry)) },
      isDelayed: settle != nil)
    let threads = (UInt8(0)..<2).map { server in
      start { race.report(as: server, reporter(server)) }
    }
    let watcher = start { race.watch() }
    for thread in threads + [watcher] { pthread_join(thread, nil) }
    return race.violation.withLock { $0 }
  }

  private static func start(_ body: @escaping @Sendable () -> Void) -> pthread_t {
    final class Job: Sendable {
      let body: @Sendable () -> Void
      init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
    var thread = pthread_t()
    pthread_create(
      &thread, nil,
      { context in
        guard let context else { return nil }
        Unmanaged<Job>.fromOpaque(context).takeRetainedValue().body()
        return nil
      }, Unmanaged.passRetained(Job(body)).toOpaque())
    return thread
  }
}

private final class Race: @unchecked Sendable {
  let memory: DirectoryMemory
  let entry: UInt32
  let first: UInt64
  let rounds: Int
  let versions: UInt64
  let settle: @Sendable () -> Void
  let rebase: @Sendable () -> Void
  let violation = Mutex<String?>(nil)
  private let reporting = Atomic<Int>(0)
  private let turns = Atomic<UInt64>(0)
  private let isDelayed: Bool
  private let barrier: UnsafeMutablePointer<pthread_barrier_t>

  init(
    memory: DirectoryMemory, entry: UInt32, first: UInt64, rounds: Int, versions: UInt64,
    settle: @escaping @Sendable () -> Void, rebase: @escaping @Sendable () -> Void,
    isDelayed: Bool
  ) {
    (self.memory, self.entry, self.first) = (memory, entry, first)
    (self.rounds, self.versions, self.settle, self.rebase) = (rounds, versions, settle, rebase)
    self.isDelayed = isDelayed
    barrier = .allocate(capacity: 1)
    pthread_barrier_init(barrier, nil, 3)
  }

  deinit {
    pthread_barrier_destroy(barrier)
    barrier.deallocate()
  }

  /// The versions come from one counter, so that both servers have news all the time; each looks
  /// at once at what became of its report.
  func report(as server: UInt8, _ record: DirectoryRace.Reporter) {
    for round in 0..<rounds {
      reporting.add(1, ordering: .sequentiallyConsistent)
      pthread_barrier_wait(barrier)
      let start = first + UInt64(round) * versions
      var seen: UInt64 = 0
      while true {
        let turn = turns.add(4, ordering: .relaxed).oldValue - UInt64(round) * (versions + 8)
        guard turn < versions - 4 else { break }
        // A refused report counts for nothing.
        let version = start + turn + UInt64(server) + 1
        if record(version) { check(reading, &seen, least: isDelayed ? 0 : version) }
      }
      let last = start + versions - 1
      while !record(last) {}
      reporting.subtract(1, ordering: .sequentiallyConsistent)
      pthread_barrier_wait(barrier)
      pthread_barrier_wait(barrier)
      if violation.withLock({ $0 != nil }) { return }
    }
  }

  private var reading: EntryReading { memory.reading(ofEntry: entry) }

  /// Watches, and moves the window: less often in a round than there are places for bases; between
  /// rounds nobody is under way.
  func watch() {
    for round in 0..<rounds {
      pthread_barrier_wait(barrier)
      var (seen, rebases) = (UInt64(0), 0)
      while reporting.load(ordering: .sequentiallyConsistent) > 0 {
        check(reading, &seen)
        // The processors are for the reporters, who look as well.
        usleep(20)
        if rebases < 2 {
          rebase()
          rebases += 1
        }
      }
      pthread_barrier_wait(barrier)
      settle()
      let last = first + UInt64(round + 1) * versions - 1
      let end = reading
      check(end, &seen)
      if end.completed != last {
        fail("after round \(round) completed is \(last &- end.completed) short of the last report")
      } else if end.replicaSet != DirectoryRace.reporters(of: last) {
        fail("after round \(round) the set is \(end.replicaSet): a report was lost")
      }
      rebase()
      turns.store(UInt64(round + 1) * (versions + 8), ordering: .sequentiallyConsistent)
      pthread_barrier_wait(barrier)
      if violation.withLock({ $0 != nil }) { return }
    }
  }

  private func check(_ reading: EntryReading, _ seen: inout UInt64, least: UInt64 = 0) {
    if reading.completed < least { fail("a report was lost: \(least - reading.completed) short") }
    if reading.completed < seen { fail("completed fell by \(seen - reading.completed)") }
    seen = max(seen, reading.completed)
    let allowed = DirectoryRace.reporters(of: reading.completed)
    if reading.replicaSet & ~allowed != 0 || reading.replicaSet == 0 {
      fail("the set \(reading.replicaSet) does not belong to version \(reading.completed)")
    }
  }

  private func fail(_ what: String) { violation.withLock { $0 = $0 ?? what } }
}
