using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Godwit.Storage.Operations;

namespace Godwit.Storage.Repair;

/// <summary>Identifiers for a repaired copy: new ones, but the same each time the same file is repaired, so that a copy that was cut off
/// can be gone on with.</summary>
/// <param name="source">The file.</param>
internal sealed class StableGuids(FileIdentity source)
{
    private readonly byte[] _seed = SHA256.HashData(Encoding.UTF8.GetBytes(source.ToString()));
    private int _count;

    /// <summary>The next one.</summary>
    public Guid Next()
    {
        BinaryPrimitives.WriteInt32LittleEndian(_seed, ++_count);
        return new Guid(SHA256.HashData(_seed).AsSpan(0, 16));
    }
}
