#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#endif

/// Memory in blocks of a few sizes, cut from chunks and kept in a free list for each size, so that
/// taking and giving back a block costs a few instructions and, once the chunks are there, no call
/// of the allocator. Memory is given back to the system only when the arena goes.
final class BlockArena {
  /// Block sizes: steps of an eighth to a fifth, so that little of a block is unused.
  static let sizes: [Int] = [
    48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768, 896, 1024, 1280,
    1536,
  ]
  private static let chunkLength = 256 * 1024

  /// Size class of each length in steps of 16 bytes, so that finding it is one look-up.
  private let classOfLength: UnsafeMutablePointer<UInt8>
  private let classSizes: UnsafeMutablePointer<Int>
  private let freeLists: UnsafeMutablePointer<UnsafeMutableRawPointer?>
  private var chunks: [UnsafeMutableRawPointer] = []
  private var next: UnsafeMutableRawPointer
  private var left = 0

  init() {
    let sizes = Self.sizes
    let steps = (sizes.last ?? 0) / 16
    classOfLength = .allocate(capacity: steps + 1)
    classSizes = .allocate(capacity: sizes.count)
    freeLists = .allocate(capacity: sizes.count)
    freeLists.initialize(repeating: nil, count: sizes.count)
    for (index, size) in sizes.enumerated() { (classSizes + index).initialize(to: size) }
    for step in 0...steps {
      let sizeClass = sizes.firstIndex { $0 >= step * 16 } ?? 0
      (classOfLength + step).initialize(to: UInt8(sizeClass))
    }
    next = UnsafeMutableRawPointer(classOfLength)
  }

  deinit {
    for chunk in chunks { free(chunk) }
    classOfLength.deallocate()
    classSizes.deallocate()
    freeLists.deallocate()
  }

  /// The size class of a block of `length` bytes (at most 1,536).
  func sizeClass(_ length: Int) -> UInt8 { classOfLength[(length + 15) / 16] }

  /// A block of this size class, 16-byte aligned, with undefined contents.
  func take(_ sizeClass: UInt8) -> UnsafeMutableRawPointer {
    if let block = freeLists[Int(sizeClass)] {
      freeLists[Int(sizeClass)] = block.load(as: UnsafeMutableRawPointer?.self)
      return block
    }
    let size = classSizes[Int(sizeClass)]
    if left < size { beginChunk() }
    let block = next
    next += size
    left -= size
    return block
  }

  func giveBack(_ block: UnsafeMutableRawPointer, _ sizeClass: UInt8) {
    block.storeBytes(of: freeLists[Int(sizeClass)], as: UnsafeMutableRawPointer?.self)
    freeLists[Int(sizeClass)] = block
  }

  /// The rest of the chunk before goes into the free list of the largest size that fits.
  private func beginChunk() {
    while left >= Self.sizes[0] {
      let sizeClass = UInt8((Self.sizes.lastIndex { $0 <= left }) ?? 0)
      let block = next
      next += classSizes[Int(sizeClass)]
      left -= classSizes[Int(sizeClass)]
      giveBack(block, sizeClass)
    }
    guard let chunk = malloc(Self.chunkLength) else {
      fatalError("out of memory for stored values: start the server with fewer keys")
    }
    chunks.append(chunk)
    next = chunk
    left = Self.chunkLength
  }
}
