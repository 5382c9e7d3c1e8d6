/// Decides when a disk counts as full. Some room is kept in a file, the *reserve*, so that others who
/// fill the disk leave enough for what has to be written: it is given up when a write finds no room,
/// and made again when there is. Pure.
struct SpaceWatch {
  /// Bytes of the reserve.
  let reserve: UInt64
  /// Whether the reserve is there.
  private(set) var hasReserve: Bool
  /// No writes of clients are to be taken.
  private(set) var isFull: Bool

  init(reserve: UInt64, hasReserve: Bool) {
    self.reserve = reserve
    self.hasReserve = hasReserve
    isFull = !hasReserve
  }

  /// Takes in how many bytes are free beside the reserve. True: the reserve is to be made again,
  /// which is told by `reserved()`.
  ///
  /// Full is what has less than a quarter of the reserve free, until there is half of it.
  mutating func update(available: UInt64) -> Bool {
    guard hasReserve else { return available >= reserve + reserve / 2 }
    isFull = available < (isFull ? reserve / 2 : reserve / 4)
    return false
  }

  /// The reserve has been made.
  mutating func reserved() {
    hasReserve = true
    isFull = false
  }

  /// A write has found no room, and the reserve has been given up.
  mutating func released() {
    hasReserve = false
    isFull = true
  }
}
