using Godwit.Storage.Chains;
using Godwit.Storage.Formats;
using Godwit.Testing;

namespace Godwit.Storage.Tests.Chains;

/// <summary>A folder with a chain of real files and what it must read as.</summary>
internal sealed class ChainFiles : IDisposable
{
    public const int Size = 12 << 20;
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly TempFolder _folder = new();
    private readonly Random _random;
    private readonly string _extension;
    private readonly ImageFormat _base;

    public ChainFiles(string family, int seed)
    {
        _random = new Random(seed);
        _extension = family == "VHDX" ? "vhdx" : "vhd";
        _base = family == "VHDX" ? ImageFormat.VhdxDynamic : ImageFormat.VhdDynamic;
    }

    /// <summary>Paths from the base upwards.</summary>
    public List<string> Paths { get; } = [];

    /// <summary>What each layer reads as with those below it.</summary>
    public List<byte[]> Contents { get; } = [];

    public string Leaf => Paths[^1];

    public string Folder => _folder.Path;

    public string File(string name) => _folder.File(name);

    public void Dispose() => _folder.Dispose();

    /// <summary>Makes a chain whose layers each differ a little from the one below.</summary>
    public static async Task<ChainFiles> CreateAsync(string family, int layers, int seed)
    {
        var files = new ChainFiles(family, seed);
        for (var index = 0; index < layers; index++)
            await files.AddAsync();
        return files;
    }

    /// <summary>Puts one more layer on top and writes into it.</summary>
    public Task AddAsync(long? size = null) => AddAsync(new ImageCreateOptions { BlockSize = _extension == "vhdx" ? 1 << 20 : 512 << 10 }, size);

    /// <summary>Puts one more layer of some kind on top and writes into it.</summary>
    public async Task AddAsync(ImageCreateOptions options, long? size = null)
    {
        var path = File($"layer{Paths.Count}.{_extension}");
        if (Paths.Count == 0)
            await DiskImage.CreateAsync(path, _base, Size, options, None);
        else
            await ChildImage.CreateAsync(path, Leaf, size, options, PathMap.Empty, None);
        var content = Contents.Count == 0 ? new byte[Size] : (byte[])Contents[^1].Clone();
        Array.Resize(ref content, (int)(size ?? content.Length));
        Paths.Add(path);
        Contents.Add(content);
        await ChangeAsync(path, content);
    }

    /// <summary>Puts a base without content into an empty chain.</summary>
    public async Task AddEmptyAsync()
    {
        Paths.Add(File($"layer0.{_extension}"));
        Contents.Add(new byte[Size]);
        await DiskImage.CreateAsync(Leaf, _base, Size, new ImageCreateOptions { BlockSize = 1 << 20 }, None);
    }

    /// <summary>Everything an image reads as, through its chain.</summary>
    public static async Task<byte[]> ReadAsync(string path, ChainOptions? options = null)
    {
        var chain = await DiskChain.OpenAsync(path, (options ?? new ChainOptions()) with { ReadOnly = true }, None);
        await using var device = chain.Device;
        var content = new byte[device.Length];
        await device.ReadAsync(0, content, None);
        return content;
    }

    private async Task ChangeAsync(string path, byte[] content)
    {
        await using var device = await DiskImage.OpenAsync(path, null, readOnly: false, None);
        for (var change = 0; change < 24; change++)
        {
            var sectors = 1L << _random.Next(12);
            var length = (int)Math.Min((sectors - _random.NextInt64(sectors)) * 512, content.Length);
            var offset = _random.NextInt64((content.Length - length) / 512) * 512;
            if (change % 6 == 5)
            {
                await device.WriteZeroesAsync(offset, length, WriteFlags.None, None);
                Array.Clear(content, (int)offset, length);
                continue;
            }

            var bytes = content.AsMemory((int)offset, length);
            _random.NextBytes(bytes.Span);
            await device.WriteAsync(offset, bytes, WriteFlags.None, None);
        }
    }
}
