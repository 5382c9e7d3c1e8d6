public import ClientCore
internal import Glibc
internal import Synchronization

extension ClientIdentity {
  private static let birthsOfThisProcess = Mutex(UInt64.random(in: .min ... .max))

  /// A client id for a client that is born now, by the wall clock. Ids of one process differ (as
  /// long as fewer than four million are made in a millisecond); those of different processes
  /// almost certainly do. Thread-safe.
  public static func fresh() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    let birth = UInt64(max(time.tv_sec, 1)) * 1_000 + UInt64(time.tv_nsec) / 1_000_000
    // Counting from a random number, and stirring with an odd factor: the low bits of the products
    // do not repeat before the counter's do, and processes do not run through the same stretch.
    let number = birthsOfThisProcess.withLock { number in
      number &+= 1
      return number
    }
    return make(birth: birth, random: number &* 0x9e37_79b9_7f4a_7c15)
  }
}
