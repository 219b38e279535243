using Godwit.Testing;
using Godwit.Testing.Hosts;
using Xunit;

namespace Godwit.Storage.Tests.FileSystems;

/// <summary>A file system made by its own tools on a file that was full of other bytes before, so that free space is not zero.</summary>
internal sealed class FileSystemImage : IDisposable
{
    public const byte Stale = 0xa5;
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly TempFolder _folder = new();

    private FileSystemImage(int size)
    {
        Size = size;
        var bytes = new byte[size];
        bytes.AsSpan().Fill(Stale);
        File.WriteAllBytes(Path, bytes);
        Directory.CreateDirectory(_folder.File("source"));
        var random = new Random(size);
        foreach (var (name, length) in new[] { ("small.txt", 700), ("middle.bin", 300_000), ("large.bin", 5_000_000), ("empty", 0) })
        {
            var content = new byte[length];
            random.NextBytes(content);
            Files.Add(name, content);
            File.WriteAllBytes(_folder.File($"source/{name}"), content);
        }
    }

    public int Size { get; }

    public string Path => _folder.File("partition.raw");

    /// <summary>What the file system holds.</summary>
    public Dictionary<string, byte[]> Files { get; } = [];

    public string At(string name) => _folder.File(name);

    /// <summary>Whether the tools for a kind are there: ext4…, vfat, ntfs, exfat.</summary>
    public static bool CanMake(string kind) => Tool(kind.StartsWith("ext", StringComparison.Ordinal) ? "mke2fs" : $"mkfs.{kind}") is not null
        && (kind != "vfat" || Tool("mcopy") is not null) && (kind != "ntfs" || Tool("ntfscp") is not null);

    public static string? Tool(string name) =>
        new[] { "/usr/sbin/", "/sbin/", "/usr/bin/", "/bin/" }.Select(folder => folder + name).FirstOrDefault(File.Exists);

    /// <summary>Makes one.</summary>
    /// <param name="kind">ext2, ext3, ext4, vfat, ntfs or exfat.</param>
    /// <param name="size">Bytes of the partition.</param>
    /// <param name="options">More for the program that makes it.</param>
    public static async Task<FileSystemImage> CreateAsync(string kind, int size, params string[] options)
    {
        var image = new FileSystemImage(size);
        if (kind.StartsWith("ext", StringComparison.Ordinal))
        {
            await image.RunAsync("mke2fs", ["-q", "-F", "-t", kind, "-E", "nodiscard", "-d", image.At("source"), .. options, image.Path]);
            return image;
        }

        if (kind == "exfat")
        {
            await image.RunAsync("mkfs.exfat", [.. options, image.Path]);
            image.Files.Clear();
            return image;
        }

        await image.RunAsync($"mkfs.{kind}", kind == "ntfs" ? ["-F", "-Q", "-q", .. options, image.Path] : [.. options, image.Path]);
        foreach (var name in image.Files.Keys)
        {
            await (kind == "ntfs"
                ? image.RunAsync("ntfscp", [image.Path, image.At($"source/{name}"), name])
                : image.RunAsync("mcopy", ["-i", image.Path, image.At($"source/{name}"), $"::{name}"]));
        }

        return image;
    }

    /// <summary>The file system's own check finds nothing, and every file holds what it held.</summary>
    public async Task JudgeAsync(string kind, string partition)
    {
        string[] check = kind switch
        {
            "vfat" => ["fsck.vfat", "-n", partition],
            "ntfs" => ["ntfsfix", "-n", partition],
            "exfat" => ["fsck.exfat", "-n", partition],
            _ => ["e2fsck", "-fn", partition],
        };
        await RunAsync(check[0], check[1..]);
        foreach (var (name, content) in Files)
        {
            var copy = At("copy");
            string[] read = kind switch
            {
                "vfat" => ["mcopy", "-n", "-o", "-i", partition, $"::{name}", copy],
                "ntfs" => ["sh", "-c", "exec ntfscat -f \"$0\" \"$1\" > \"$2\"", partition, name, copy],
                _ => ["debugfs", "-R", $"dump /{name} {copy}", partition],
            };
            await RunAsync(read[0], read[1..]);
            Assert.Equal(content, await File.ReadAllBytesAsync(copy, None));
        }
    }

    public async Task<string> RunAsync(string tool, params IEnumerable<string> arguments)
    {
        var result = await ChildProgram.RunAsync(Tool(tool)!, arguments, null, None);
        Assert.True(result.ExitCode == 0, result.ToString());
        return result.Output;
    }

    public void Dispose() => _folder.Dispose();
}
