internal import Glibc
internal import Sockets
internal import Wire

/// The socket on which one thread talks to a rack, with its batches.
final class RackPort {
  private let socket: UDPSocket
  private let arrived = DatagramBatch(
    capacity: 512, datagramLengthMax: WireLimits.datagramLengthMax)
  private let leaving = DatagramBatch(
    capacity: 512, datagramLengthMax: WireLimits.datagramLengthMax)
  private let poll: EventPoll
  /// Watches nothing: for waiting until a time.
  private let timer: EventPoll

  /// Room for the answers of a burst, while this process does not run: at 30,000 answers per second
  /// and 1,300 bytes each, about 0.4 seconds.
  private static let bufferLength = 16 << 20

  init(_ rack: Endpoint, in namespace: NetworkNamespace?) throws(LoadError) {
    do throws(SocketError) {
      socket = try UDPSocket(
        connect: rack, bufferLength: Self.bufferLength, in: namespace)
      poll = try EventPoll()
      timer = try EventPoll()
      try poll.add(socket.descriptor, token: 0)
    } catch {
      throw .socket(error)
    }
  }

  /// What the network said when it refused datagrams, if it did.
  var refusal: SocketError? { arrived.lastRefusal ?? leaving.lastRefusal }

  /// There is room in the batch, if need be after sending what is in it.
  func hasRoom() throws(LoadError) -> Bool {
    if leaving.isFull { try flush() }
    return !leaving.isFull
  }

  /// Adds a datagram to what is sent next; without any room it is lost, as the network might do.
  func append(_ fill: (UnsafeMutableRawBufferPointer) -> Int) {
    if leaving.isFull { try? flush() }
    leaving.append(fill)
  }

  func flush() throws(LoadError) {
    do throws(SocketError) { try leaving.send(on: socket) } catch { throw .socket(error) }
  }

  /// Takes all that has arrived; `handle` also gets the time at which it was there.
  func receive(_ handle: (UnsafeRawBufferPointer, UInt64) -> Void) throws(LoadError) {
    // Bounded, so that a flood does not keep the loop from sending.
    for _ in 0..<16 {
      let count: Int
      do throws(SocketError) { count = try arrived.receive(from: socket) } catch {
        throw .socket(error)
      }
      let now = MonotonicClock.now
      for index in 0..<count { handle(arrived[index], now) }
      if count < arrived.capacity { return }
    }
  }

  /// Sleeps, whatever arrives.
  func sleep(until time: UInt64) throws(LoadError) {
    do throws(SocketError) { try timer.wait(until: time) { _, _ in } } catch {
      throw .socket(error)
    }
  }

  func waitForDatagrams(until time: UInt64) throws(LoadError) {
    do throws(SocketError) { try poll.wait(until: time) { _, _ in } } catch {
      throw .socket(error)
    }
  }

  /// Milliseconds since 1970 at the time 0 of `MonotonicClock`.
  static var birthOffset: UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    let now = UInt64(time.tv_sec) * 1_000 + UInt64(time.tv_nsec) / 1_000_000
    return now - min(MonotonicClock.now / 1_000_000, now)
  }

  /// For client ids, which no other process may have.
  static var entropy: UInt64 { UInt64.random(in: .min ... .max) }
}
