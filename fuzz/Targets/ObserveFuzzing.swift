internal import Observe

/// Frames as a capture has them, of any link layer.
enum ObserveFuzzing {
  static func run(_ bytes: UnsafeRawBufferPointer) {
    var input = FuzzInput(bytes)
    let links: [LinkType] = [.ethernet, .cooked, .cooked2, .raw, .family]
    var configuration = TrafficObserver.Configuration()
    (configuration.places, configuration.connections) = (8, 16)
    let how = input.byte()
    configuration.recognizes = how & 0x80 == 0
    configuration.window = how & 0x40 == 0 ? nil : 0.5
    let observer = TrafficObserver(
      link: links[Int(how) % links.count], configuration: configuration)
    var (frames, time) = (UInt64(0), UInt64(0))
    while !input.isEmpty {
      time += UInt64(input.byte()) << 18
      let frame = input.bytes(Int(input.short()) % 2_048)
      frame.withUnsafeBytes { observer.take($0, time: time) }
      frames += 1
    }
    let seen = observer.observation(servers: 2 + Int(how) % 31)
    require(seen.packets.all == frames, "every frame is counted")
    require(seen.keys.count <= 8 && seen.streams.connections <= 16, "memory is bounded")
    let share = seen.keys.reduce(0) { $0 + $1.share }
    require(share <= 1.000_001, "shares add up to at most 1, not to \(share)")
    require(!ObservationText.lines(seen, keys: 8).isEmpty, "it can be shown")
  }
}

/// What one client sends to one server, in pieces: how it is cut does not matter.
enum StreamFuzzing {
  private struct Requests: RequestSink {
    var all: [[UInt8]] = []
    mutating func request(key: UnsafeRawBufferPointer, isRead: Bool) {
      require(!key.isEmpty && key.count <= 1_024, "a key is not empty, nor too long")
      all.append([isRead ? 1 : 0] + Array(key))
    }
    mutating func requestWithoutKey() { all.append([]) }
  }

  static func run(_ bytes: UnsafeRawBufferPointer) {
    var input = FuzzInput(bytes)
    let how = input.byte()
    let pieceLength = 1 + Int(input.byte())
    let stream = input.bytes(bytes.count)
    let expected: KeyProtocol? = [.memcached, .redis, nil][Int(how) % 3]
    let isFromStart = how & 0x80 == 0

    var whole = StreamParser(expected, fromStart: isFromStart)
    var inOne = Requests()
    stream.withUnsafeBytes { whole.consume($0, &inOne) }

    var pieces = StreamParser(expected, fromStart: isFromStart)
    var inPieces = Requests()
    var rest = stream[...]
    // Where the track is lost, it is found again at other places.
    var hasKeptTrack = isFromStart && expected != nil
    while !rest.isEmpty {
      Array(rest.prefix(pieceLength)).withUnsafeBytes { pieces.consume($0, &inPieces) }
      rest = rest.dropFirst(pieceLength)
      hasKeptTrack = hasKeptTrack && pieces.isSynchronized && pieces.losses == 0
      // Passing over what is missing is possible anywhere.
      if how & 0x40 != 0 { pieces.passOver(Int(how & 15)) }
    }
    guard hasKeptTrack, how & 0x40 == 0 else { return }
    require(whole.losses == 0, "the track is kept however it is cut")
    require(inOne.all == inPieces.all, "how a stream is cut does not matter")
  }
}
