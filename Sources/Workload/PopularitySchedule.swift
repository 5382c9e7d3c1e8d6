/// When popularity changes, and how. Times are in nanoseconds since the load's first moment.
public struct PopularitySchedule: Sendable, Hashable {
  /// Made one after the other, over and over: `[.hotIn(100), .hotOut(100)]` makes two hot sets
  /// alternate.
  public var cycle: [PopularityChange]
  /// Of the first change.
  public var first: UInt64
  /// From one change to the next; 0: there is only the first.
  public var interval: UInt64

  /// `cycle`: at least one. The first change comes after one interval unless told otherwise.
  public init(_ cycle: [PopularityChange], every interval: UInt64, first: UInt64? = nil) {
    precondition(!cycle.isEmpty)
    self.cycle = cycle
    self.interval = interval
    self.first = first ?? interval
  }

  public static func once(_ change: PopularityChange, at time: UInt64) -> PopularitySchedule {
    PopularitySchedule([change], every: 0, first: time)
  }

  /// The changes in their order.
  public func makeIterator() -> Iterator { Iterator(self) }

  public struct Iterator: Sendable {
    private let schedule: PopularitySchedule
    private var made = 0
    /// Of the next change; nil: there is none.
    public private(set) var nextTime: UInt64?

    fileprivate init(_ schedule: PopularitySchedule) {
      self.schedule = schedule
      nextTime = schedule.first
    }

    /// The next change whose time has come by `time`.
    public mutating func next(upTo time: UInt64) -> PopularityChange? {
      guard let due = nextTime, due <= time else { return nil }
      defer { made += 1 }
      let (next, isBeyond) = due.addingReportingOverflow(schedule.interval)
      nextTime = schedule.interval == 0 || isBeyond ? nil : next
      return schedule.cycle[made % schedule.cycle.count]
    }
  }
}
