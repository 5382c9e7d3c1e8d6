/// Virtual time: events in order of their time, those of one time in the order they were made.
public struct Scheduler<Event> {
  /// What the heap moves about is small; the events themselves stay where they are.
  private struct Item {
    var time: UInt64
    var order: UInt64
    var place: Int

    func isBefore(_ other: Item) -> Bool {
      time != other.time ? time < other.time : order < other.order
    }
  }

  /// Now, in nanoseconds since the start of the simulation.
  public private(set) var now: UInt64 = 0
  private var heap: [Item] = []
  private var events: [Event?] = []
  private var freePlaces: [Int] = []
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
    let item = Item(time: max(time, now), order: made, place: keep(event))
    heap.append(item)
    var child = heap.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      guard item.isBefore(heap[parent]) else { break }
      heap[child] = heap[parent]
      child = parent
    }
    heap[child] = item
  }

  /// Takes the next event; time moves on to it.
  public mutating func next() -> Event? {
    guard let first = heap.first, let last = heap.popLast() else { return nil }
    now = first.time
    if !heap.isEmpty { sink(last) }
    defer {
      events[first.place] = nil
      freePlaces.append(first.place)
    }
    return events[first.place]
  }

  private mutating func keep(_ event: Event) -> Int {
    guard let place = freePlaces.popLast() else {
      events.append(event)
      return events.count - 1
    }
    events[place] = event
    return place
  }

  /// Puts an item in the place of the first.
  private mutating func sink(_ item: Item) {
    var parent = 0
    while true {
      var least = 2 * parent + 1
      guard least < heap.count else { break }
      if least + 1 < heap.count && heap[least + 1].isBefore(heap[least]) { least += 1 }
      guard heap[least].isBefore(item) else { break }
      heap[parent] = heap[least]
      parent = least
    }
    heap[parent] = item
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

  /// What it shows at a virtual time; it never goes back.
  public func reading(at time: UInt64) -> UInt64 {
    offset + UInt64(Int64(time) + Int64(time) * driftPPM / 1_000_000)
  }

  /// The first virtual time, to the nanosecond, at which it shows `reading` or more.
  public func time(ofReading reading: UInt64) -> UInt64 {
    guard reading > offset else { return 0 }
    let shown = Int64(reading - offset)
    var time = UInt64(max(0, shown - shown / (1_000_000 + driftPPM) * driftPPM - 1_000))
    while self.reading(at: time) < reading { time += reading - self.reading(at: time) }
    return time
  }
}
