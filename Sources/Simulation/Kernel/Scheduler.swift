/// Virtual time: events in order of their time, those of one time in the order they were made.
public struct Scheduler<Event> {
  private struct Item {
    var time: UInt64
    var order: UInt64
    var event: Event

    func isBefore(_ other: Item) -> Bool {
      time != other.time ? time < other.time : order < other.order
    }
  }

  /// Now, in nanoseconds since the start of the simulation.
  public private(set) var now: UInt64 = 0
  private var heap: [Item] = []
  private var made: UInt64 = 0

  public init() {}

  public var isEmpty: Bool { heap.isEmpty }
  public var count: Int { heap.count }

  /// The time of the next event.
  public var nextTime: UInt64? { heap.first?.time }

  /// Makes an event happen after a delay in nanoseconds.
  public mutating func schedule(_ event: Event, after delay: UInt64) {
    schedule(event, at: now + delay)
  }

  /// Makes an event happen at a time; a time that is over means now.
  public mutating func schedule(_ event: Event, at time: UInt64) {
    made += 1
    heap.append(Item(time: max(time, now), order: made, event: event))
    var child = heap.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      guard heap[child].isBefore(heap[parent]) else { break }
      heap.swapAt(child, parent)
      child = parent
    }
  }

  /// Takes the next event; time moves on to it.
  public mutating func next() -> Event? {
    guard let last = heap.popLast() else { return nil }
    guard let first = heap.first else {
      now = last.time
      return last.event
    }
    heap[0] = last
    var parent = 0
    while true {
      var least = 2 * parent + 1
      guard least < heap.count else { break }
      if least + 1 < heap.count && heap[least + 1].isBefore(heap[least]) { least += 1 }
      guard heap[least].isBefore(heap[parent]) else { break }
      heap.swapAt(parent, least)
      parent = least
    }
    now = first.time
    return first.event
  }
}

/// A clock of one machine: off by some, and running a little fast or slow.
public struct SimulatedClock: Sendable {
  /// What it shows at virtual time zero, in nanoseconds.
  public var offset: UInt64
  /// How much it gains, in parts per million.
  public var driftPPM: Int64

  public init(offset: UInt64 = 0, driftPPM: Int64 = 0) {
    self.offset = offset
    self.driftPPM = driftPPM
  }

  /// What it shows at a virtual time.
  public func reading(at time: UInt64) -> UInt64 {
    offset + UInt64(Int64(time) + Int64(time) / 1_000_000 * driftPPM)
  }

  /// The first virtual time, to the nanosecond, at which it shows `reading` or more.
  public func time(ofReading reading: UInt64) -> UInt64 {
    guard reading > offset else { return 0 }
    let shown = Int64(reading - offset)
    var time = UInt64(max(0, shown - shown / (1_000_000 + driftPPM) * driftPPM))
    while self.reading(at: time) < reading { time += reading - self.reading(at: time) }
    return time
  }
}
