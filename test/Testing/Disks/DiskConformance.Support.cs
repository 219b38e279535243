using Godwit.Storage;
using Xunit;

namespace Godwit.Testing.Disks;

public abstract partial class DiskConformance
{
    /// <summary>Random bytes without zeroes, so that nothing written looks like a hole.</summary>
    protected static byte[] Bytes(int seed, int count)
    {
        var bytes = new byte[count];
        new Random(seed).NextBytes(bytes);
        foreach (ref var b in bytes.AsSpan())
            b |= 1;
        return bytes;
    }

    /// <summary>What a new disk holds.</summary>
    protected byte[] NewModel()
    {
        var model = new byte[Size];
        InitialContent.CopyTo(model);
        return model;
    }

    /// <summary>The whole content of a device, read in pieces of odd sizes.</summary>
    protected static async Task<byte[]> AllAsync(BlockDevice device)
    {
        var all = new byte[device.Length];
        var step = 301 * device.Capabilities.SectorSize;
        for (var at = 0; at < all.Length; at += step)
            await device.ReadAsync(at, all.AsMemory(at, Math.Min(step, all.Length - at)), None);
        return all;
    }

    /// <summary>Equal, or a message that names the first difference instead of two huge arrays.</summary>
    protected static void AssertSame(ReadOnlySpan<byte> expected, ReadOnlySpan<byte> actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        var at = expected.CommonPrefixLength(actual);
        Assert.True(at == expected.Length, $"differs at offset {at} (sector {at / 512}): expected {At(expected, at)}, found {At(actual, at)}");
    }

    /// <summary>The device holds exactly that.</summary>
    protected static async Task AssertContentAsync(BlockDevice device, byte[] expected)
    {
        var content = await AllAsync(device);
        AssertSame(expected, content);
    }

    /// <summary>Walks all extents: they cover the device without gaps, and what is called zero is zero.</summary>
    protected static async Task CheckExtentsAsync(BlockDevice device, byte[] content)
    {
        for (long at = 0; at < content.Length;)
        {
            var extent = await device.GetExtentAsync(at, content.Length - at, None);
            Assert.Equal(at, extent.Offset);
            Assert.InRange(extent.Length, 1, content.Length - at);
            Assert.Equal(0, extent.Length % device.Capabilities.SectorSize);
            if (extent.ReadsAsZeroes)
            {
                var data = content.AsSpan((int)at, (int)extent.Length).IndexOfAnyExcept((byte)0);
                Assert.True(data < 0, $"{extent} hides the byte at {at + data}");
            }

            at = extent.End;
        }
    }

    private static async Task WriteBothAsync(BlockDevice device, byte[] model, long offset, int length, int seed, WriteFlags flags)
    {
        var bytes = Bytes(seed, length);
        await device.WriteAsync(offset, bytes, flags, None);
        bytes.CopyTo(model, offset);
    }

    private static string At(ReadOnlySpan<byte> bytes, int at) => at < bytes.Length ? bytes[at].ToString("x2", null) : "the end";
}
