/// Where the keys of Redis' commands stand, and whether they are read.
struct RedisCommand: Sendable {
  enum Access: UInt8, Sendable {
    case read
    case write
    /// The first key is written, the others are read (`SINTERSTORE`).
    case writeFirst
  }

  var access: Access
  /// Places of arguments; the command's name is 0. 0: no key.
  var first: Int
  /// Negative: counted from the end, -1 is the last argument.
  var last: Int
  var step: Int
  /// The argument that says how many keys follow it; 0: none.
  var countAt = 0

  /// Of a name in any case. Nil: not known.
  static func named(_ name: UnsafeRawBufferPointer) -> RedisCommand? {
    guard name.count <= nameLengthMax else { return nil }
    return table.find(Table.hash(name))
  }

  static let nameLengthMax = 20

  private static let table: Table = {
    var table = Table()
    func add(
      _ names: String, _ access: Access, _ first: Int, _ last: Int, _ step: Int, count: Int = 0
    ) {
      let command = RedisCommand(
        access: access, first: first, last: last, step: step, countAt: count)
      for name in names.split(separator: " ") {
        var name = String(name)
        name.withUTF8 { table.insert(Table.hash(UnsafeRawBufferPointer($0)), command) }
      }
    }
    add(
      """
      GET STRLEN GETRANGE SUBSTR GETBIT BITCOUNT BITPOS BITFIELD_RO TTL PTTL EXPIRETIME \
      PEXPIRETIME TYPE DUMP HGET HMGET HGETALL HEXISTS HKEYS HVALS HLEN HSTRLEN HSCAN HRANDFIELD \
      LLEN LRANGE LINDEX LPOS SMEMBERS SISMEMBER SMISMEMBER SCARD SRANDMEMBER SSCAN ZSCORE \
      ZMSCORE ZCARD ZCOUNT ZLEXCOUNT ZRANGE ZRANGEBYSCORE ZRANGEBYLEX ZREVRANGE ZREVRANGEBYSCORE \
      ZREVRANGEBYLEX ZRANK ZREVRANK ZRANDMEMBER ZSCAN GEODIST GEOHASH GEOPOS GEORADIUS_RO \
      GEORADIUSBYMEMBER_RO GEOSEARCH XLEN XRANGE XREVRANGE XPENDING SORT_RO
      """, .read, 1, 1, 1)
    add(
      """
      SET SETEX PSETEX SETNX GETSET GETDEL GETEX APPEND INCR DECR INCRBY DECRBY INCRBYFLOAT \
      SETRANGE SETBIT BITFIELD EXPIRE PEXPIRE EXPIREAT PEXPIREAT PERSIST RESTORE HSET HSETNX \
      HMSET HDEL HINCRBY HINCRBYFLOAT LPUSH RPUSH LPUSHX RPUSHX LPOP RPOP LSET LREM LTRIM \
      LINSERT SADD SREM SPOP ZADD ZREM ZINCRBY ZPOPMIN ZPOPMAX ZREMRANGEBYRANK ZREMRANGEBYSCORE \
      ZREMRANGEBYLEX PFADD GEOADD GEORADIUS GEORADIUSBYMEMBER XADD XDEL XTRIM XACK XCLAIM \
      XAUTOCLAIM XSETID MOVE SORT
      """, .write, 1, 1, 1)
    add("MGET EXISTS TOUCH SINTER SUNION SDIFF PFCOUNT", .read, 1, -1, 1)
    add("DEL UNLINK", .write, 1, -1, 1)
    add("MSET MSETNX", .write, 1, -1, 2)
    add("SINTERSTORE SUNIONSTORE SDIFFSTORE PFMERGE", .writeFirst, 1, -1, 1)
    add("BITOP", .writeFirst, 2, -1, 1)
    add("ZRANGESTORE GEOSEARCHSTORE", .writeFirst, 1, 2, 1)
    add("RENAME RENAMENX RPOPLPUSH LMOVE SMOVE BRPOPLPUSH BLMOVE COPY", .write, 1, 2, 1)
    add("BLPOP BRPOP BZPOPMIN BZPOPMAX", .write, 1, -2, 1)
    add("LCS", .read, 1, 2, 1)
    add("OBJECT", .read, 2, 2, 1)
    // Their last key is as far behind the count as that says.
    add("ZINTER ZUNION ZDIFF SINTERCARD ZINTERCARD", .read, 2, 0, 1, count: 1)
    add("LMPOP ZMPOP", .write, 2, 0, 1, count: 1)
    add("BLMPOP BZMPOP EVAL EVALSHA FCALL", .write, 3, 0, 1, count: 2)
    add("EVAL_RO EVALSHA_RO FCALL_RO", .read, 3, 0, 1, count: 2)
    add(
      """
      PING ECHO AUTH HELLO SELECT QUIT CLIENT COMMAND CONFIG INFO DBSIZE FLUSHDB FLUSHALL SCAN \
      KEYS RANDOMKEY MULTI EXEC DISCARD WATCH UNWATCH SUBSCRIBE UNSUBSCRIBE PSUBSCRIBE \
      PUNSUBSCRIBE PUBLISH SCRIPT FUNCTION WAIT ROLE RESET CLUSTER READONLY READWRITE ASKING \
      XREAD XREADGROUP XGROUP XINFO LATENCY SLOWLOG MEMORY MONITOR SAVE BGSAVE LASTSAVE TIME \
      REPLCONF PSYNC SYNC REPLICAOF MIGRATE DEBUG SHUTDOWN
      """, .read, 0, 0, 1)
    // Two keys, the first of them the destination, and a count of the others: only that one is known.
    add("ZINTERSTORE ZUNIONSTORE ZDIFFSTORE", .writeFirst, 1, 1, 1)
    return table
  }()

  /// Open addressing over the names' hashes, which are all different (the tests see to it).
  private struct Table: Sendable {
    private var hashes = [UInt64](repeating: 0, count: 512)
    private var commands = [RedisCommand?](repeating: nil, count: 512)

    /// FNV-1a of the name in capitals; never 0 for a name.
    static func hash(_ name: UnsafeRawBufferPointer) -> UInt64 {
      var hash: UInt64 = 0xcbf2_9ce4_8422_2325
      for byte in name {
        hash = (hash ^ UInt64(byte >= 97 && byte <= 122 ? byte - 32 : byte)) &* 0x100_0000_01b3
      }
      return hash
    }

    mutating func insert(_ hash: UInt64, _ command: RedisCommand) {
      var place = Int(hash >> 55)
      while hashes[place] != 0 {
        precondition(hashes[place] != hash, "a command is in the table twice")
        place = (place + 1) & 511
      }
      hashes[place] = hash
      commands[place] = command
    }

    func find(_ hash: UInt64) -> RedisCommand? {
      var place = Int(hash >> 55)
      while hashes[place] != 0 {
        if hashes[place] == hash { return commands[place] }
        place = (place + 1) & 511
      }
      return nil
    }
  }
}
