internal import CPcap
internal import Glibc

/// One packet, as far as it was captured; its bytes are valid during the call that hands it over.
public struct CapturedPacket {
  /// Nanoseconds since 1970.
  public let time: UInt64
  /// From its link layer's header on.
  public let bytes: UnsafeRawBufferPointer
}

/// What a capture of an interface has met with so far.
public struct CaptureStatistics: Sendable, Equatable {
  /// Packets that passed the filter.
  public var received: UInt64 = 0
  /// Lost because this process was too slow, or its buffer too small.
  public var droppedByKernel: UInt64 = 0
  /// Lost by interface or driver, where they say so.
  public var droppedByInterface: UInt64 = 0
}

/// Packets from an interface or from a file, by libpcap. Not thread-safe.
public final class PacketCapture {
  /// Of an interface.
  public struct Options: Sendable {
    /// Bytes of each packet to take, 64 ... 262,144. Requests stand anywhere in a packet.
    public var snapshotLength = 262_144
    /// Bytes in which the kernel keeps packets until they are read.
    public var bufferSize = 32 << 20
    /// Also packets for other hosts, as on a mirror port.
    public var isPromiscuous = false

    public init() {}
  }

  private let handle: OpaquePointer
  private let source: String
  private let nanosecondsPerTick: UInt64
  private var statisticsBefore = CaptureStatistics()
  public let isFile: Bool
  /// libpcap's number of the link layer (DLT_…).
  public let linkType: Int32

  /// Opens a capture file; "-": standard input.
  public init(file: String) throws(CaptureError) {
    var problem = [CChar](repeating: 0, count: Int(PCAP_ERRBUF_SIZE))
    guard
      let handle = pcap_open_offline_with_tstamp_precision(
        file, UInt32(PCAP_TSTAMP_PRECISION_NANO), &problem)
    else { throw .unreadableFile(file, reason: Self.text(problem)) }
    self.handle = handle
    source = file
    isFile = true
    nanosecondsPerTick = 1
    linkType = pcap_datalink(handle)
  }

  /// Begins to capture on an interface; "any": on all. Never waits for packets: `descriptor` says
  /// when there are some. Needs CAP_NET_RAW.
  public init(interface: String, options: Options = Options()) throws(CaptureError) {
    var problem = [CChar](repeating: 0, count: Int(PCAP_ERRBUF_SIZE))
    guard let handle = pcap_create(interface, &problem) else {
      throw .refused(doing: "capture on \(interface)", reason: Self.text(problem))
    }
    pcap_set_snaplen(handle, Int32(clamping: min(max(options.snapshotLength, 64), 262_144)))
    pcap_set_buffer_size(handle, Int32(clamping: options.bufferSize))
    pcap_set_promisc(handle, options.isPromiscuous ? 1 : 0)
    // How long the kernel may gather packets before it says that there are some.
    pcap_set_timeout(handle, 100)
    // Where it is not to be had, microseconds must do.
    pcap_set_tstamp_precision(handle, PCAP_TSTAMP_PRECISION_NANO)
    let code = pcap_activate(handle)
    if code < 0 {
      let reason = String(cString: pcap_geterr(handle))
      pcap_close(handle)
      throw Self.error(code, interface, reason)
    }
    if pcap_setnonblock(handle, 1, &problem) != 0 {
      pcap_close(handle)
      throw .refused(doing: "capture on \(interface)", reason: Self.text(problem))
    }
    self.handle = handle
    source = interface
    isFile = false
    nanosecondsPerTick =
      pcap_get_tstamp_precision(handle) == PCAP_TSTAMP_PRECISION_NANO ? 1 : 1_000
    linkType = pcap_datalink(handle)
  }

  deinit { pcap_close(handle) }

  /// Readable when there are packets; -1: of a file.
  public var descriptor: Int32 { isFile ? -1 : pcap_get_selectable_fd(handle) }

  /// Lets only those packets through that the filter takes (`man pcap-filter`).
  public func setFilter(_ filter: String) throws(CaptureError) {
    var program = bpf_program()
    guard pcap_compile(handle, &program, filter, 1, PCAP_NETMASK_UNKNOWN) == 0 else {
      throw .invalidFilter(filter, reason: String(cString: pcap_geterr(handle)))
    }
    defer { pcap_freecode(&program) }
    guard pcap_setfilter(handle, &program) == 0 else {
      throw .refused(doing: "set the filter", reason: String(cString: pcap_geterr(handle)))
    }
  }

  /// Hands over the packets that are there, at most `limit` of them, and returns how many there were;
  /// 0: the end of a file, or none now.
  public func read(limit: Int, _ body: (CapturedPacket) -> Void) throws(CaptureError) -> Int {
    let (count, isShort) = withoutActuallyEscaping(body) { body in
      var reader = Reader(body: body, nanosecondsPerTick: nanosecondsPerTick)
      let code = withUnsafeMutableBytes(of: &reader) { context in
        pcap_dispatch(
          handle, Int32(clamping: limit),
          { context, header, bytes in
            guard let context, let header = header?.pointee, let bytes else { return }
            UnsafeMutableRawPointer(context).assumingMemoryBound(to: Reader.self).pointee
              .take(header, bytes)
          }, context.baseAddress?.assumingMemoryBound(to: UInt8.self))
      }
      return (Int(code), code < 0)
    }
    guard !isShort else {
      let reason = String(cString: pcap_geterr(handle))
      throw isFile
        ? .damagedFile(source, reason: reason)
        : .refused(doing: "capture on \(source)", reason: reason)
    }
    return count
  }

  /// What was lost so far; all zeros for a file.
  public func statistics() -> CaptureStatistics {
    var now = pcap_stat()
    guard !isFile, pcap_stats(handle, &now) == 0 else { return statisticsBefore }
    // libpcap counts in 32 bits.
    func advance(_ count: inout UInt64, to low: UInt32) {
      count += UInt64(low &- UInt32(truncatingIfNeeded: count))
    }
    advance(&statisticsBefore.received, to: now.ps_recv)
    advance(&statisticsBefore.droppedByKernel, to: now.ps_drop)
    advance(&statisticsBefore.droppedByInterface, to: now.ps_ifdrop)
    return statisticsBefore
  }

  private struct Reader {
    let body: (CapturedPacket) -> Void
    let nanosecondsPerTick: UInt64

    func take(_ header: pcap_pkthdr, _ bytes: UnsafePointer<UInt8>) {
      // A file may say anything; so none of this may overflow.
      let seconds = UInt64(max(header.ts.tv_sec, 0)) & 0xffff_ffff
      let ticks = UInt64(max(header.ts.tv_usec, 0)) & 0xffff_ffff
      body(
        CapturedPacket(
          time: seconds * 1_000_000_000 + ticks * nanosecondsPerTick,
          bytes: UnsafeRawBufferPointer(start: bytes, count: Int(header.caplen))))
    }
  }

  private static func error(_ code: Int32, _ interface: String, _ reason: String) -> CaptureError {
    switch code {
    case PCAP_ERROR_NO_SUCH_DEVICE: .noSuchInterface(interface)
    case PCAP_ERROR_PERM_DENIED, PCAP_ERROR_PROMISC_PERM_DENIED: .notPermitted(interface: interface)
    case PCAP_ERROR_IFACE_NOT_UP: .interfaceDown(interface)
    default: .refused(doing: "capture on \(interface)", reason: reason)
    }
  }

  private static func text(_ problem: [CChar]) -> String {
    String(decoding: problem.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
