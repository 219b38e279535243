using Godwit.Storage.Formats;

namespace Godwit.Fuzz.Soak;

/// <summary>What a chain's base is; children follow it.</summary>
/// <param name="Name">For people.</param>
/// <param name="Extension">How file names end.</param>
/// <param name="Base">Format of the base.</param>
/// <param name="Size">Bytes of the disk at first.</param>
/// <param name="Options">Block and sector size of the base.</param>
/// <param name="ChildBlockSizes">Bytes per block of children, one of them at random.</param>
internal sealed record ChainFormat(
    string Name, string Extension, ImageFormat Base, long Size, ImageCreateOptions Options, IReadOnlyList<int> ChildBlockSizes)
{
    private const int MiB = 1 << 20;

    /// <summary>In an order that stays: the seed of a life tells its format.</summary>
    public static IReadOnlyList<ChainFormat> All { get; } =
    [
        new("vhdx", "vhdx", ImageFormat.VhdxDynamic, 8 * MiB, new() { BlockSize = MiB }, [MiB, 2 * MiB]),
        new("vhd", "vhd", ImageFormat.VhdDynamic, 8 * MiB, new() { BlockSize = 512 << 10 }, [512 << 10, 2 * MiB]),
        new("vhdx, 4 KiB sectors", "vhdx", ImageFormat.VhdxDynamic, (6 * MiB) + 4096, new() { BlockSize = MiB, LogicalSectorSize = 4096 }, [MiB]),
        new("vhd, odd size", "vhd", ImageFormat.VhdDynamic, (5 * MiB) + 512, new() { BlockSize = 2 * MiB }, [512 << 10, 4 * MiB]),
        new("vhdx over fixed, odd size", "vhdx", ImageFormat.VhdxFixed, (5 * MiB) + 512, new() { BlockSize = 2 * MiB }, [MiB, 4 * MiB]),
        new("vhd over fixed", "vhd", ImageFormat.VhdFixed, 6 * MiB, new(), [512 << 10]),
    ];
}
