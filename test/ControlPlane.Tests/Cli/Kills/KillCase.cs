using Godwit.Storage;
using Godwit.Storage.Chains;
using Godwit.Storage.Formats;
using Godwit.Storage.Operations;
using Xunit;

namespace Godwit.ControlPlane.Tests.Cli.Kills;

/// <summary>A command that changes image files, and what must hold when it has been struck and when it is done.</summary>
internal abstract class KillCase
{
    protected const int MiB = 1 << 20;
    private const int Unit = 2 * MiB;

    /// <summary>The command line behind "godwit disk".</summary>
    public abstract string[] Words { get; }

    protected static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>Makes the files that it starts from.</summary>
    public abstract Task PrepareAsync(string folder);

    /// <summary>Asserts what must be true at any moment.</summary>
    /// <param name="before">The folder with the files as they were.</param>
    /// <param name="folder">The folder as it is now.</param>
    public abstract Task RequireSafeAsync(string before, string folder);

    /// <summary>Asserts what must be true when the command has ended well.</summary>
    /// <inheritdoc cref="RequireSafeAsync"/>
    public abstract Task RequireDoneAsync(string before, string folder);

    /// <summary>Asserts what must be true after ^C, besides.</summary>
    /// <inheritdoc cref="RequireSafeAsync"/>
    public virtual Task RequireCancelledAsync(string before, string folder) => Task.CompletedTask;

    /// <summary>Whether the same command may end like this when the one before was killed in its last moment: with everything done.</summary>
    public virtual bool FindsItDone(CliResult end) => false;

    /// <summary>A VHDX of blocks of 1 MiB, or another image, with random content.</summary>
    protected static async Task MakeAsync(string path, ImageFormat format, long size, int units)
    {
        await DiskImage.CreateAsync(path, format, size, new ImageCreateOptions { BlockSize = format == ImageFormat.VhdxDynamic ? MiB : null }, Token);
        await FillAsync(path, units);
    }

    protected static async Task MakeChildAsync(string path, string parent, int units)
    {
        await ChildImage.CreateAsync(path, parent, null, null, PathMap.Empty, Token);
        await FillAsync(path, units);
    }

    protected static async Task<BlockDevice> OpenAsync(string path, bool readOnly = true) =>
        (await DiskChain.OpenAsync(path, new ChainOptions { ReadOnly = readOnly }, Token)).Device;

    /// <summary>Asserts that two disks hold the same; where one is longer the rest is zero.</summary>
    protected static async Task RequireSameAsync(string expected, string actual)
    {
        await using var first = await OpenAsync(expected);
        await using var second = await OpenAsync(actual);
        var result = await new DiskCompare(first, second).RunAsync(enough: 1, null, Token);
        Assert.True(result.Same, $"{Path.GetFileName(actual)} differs from what it must hold at {result.FirstDifference}");
    }

    /// <summary>Asserts that a check of an image and its parents finds no error; no warning either when it was closed.</summary>
    protected static async Task RequireSoundAsync(string path, bool closed = false)
    {
        using var run = new CliRun { Folder = Path.GetDirectoryName(path)! };
        var check = await run.RunAsync("disk", "check", path, "--json");
        Assert.True(check.Code == 0, $"check of {Path.GetFileName(path)}: {check.Out}{check.Error}");
        Assert.False(closed && check.Out.Contains("\"Warning\"", StringComparison.Ordinal), $"check of {Path.GetFileName(path)}: {check.Out}");
    }

    /// <summary>Asserts that a folder holds these files and no others.</summary>
    protected static void RequireFiles(string folder, params IEnumerable<string> names) =>
        Assert.Equal(names.Order(StringComparer.Ordinal), Directory.GetFiles(folder).Select(static path => Path.GetFileName(path)).Order(StringComparer.Ordinal));

    /// <summary>Asserts that two files are the same byte for byte.</summary>
    protected static async Task RequireSameBytesAsync(string expected, string actual)
    {
        await using var first = WholeFile.Open(expected, readOnly: true);
        await using var second = WholeFile.Open(actual, readOnly: true);
        var result = await new DiskCompare(first, second).RunAsync(enough: 1, null, Token);
        Assert.True(result.Same && first.Length == second.Length, $"{Path.GetFileName(actual)} is another file from byte {result.FirstDifference} on");
    }

    /// <summary>Asserts that a source is as it was, and that beside it are only its target or an unfinished one.</summary>
    protected static Task RequireSafeMakingAsync(string before, string folder, string source, string target)
    {
        string[] others = [.. Directory.GetFiles(folder).Select(static path => Path.GetFileName(path)).Where(name => name != source)];
        string[] known = [target, $"{target}.partial", $"{target}.partial.journal", $"{target}.partial.journal.new"];
        Assert.Subset(known.ToHashSet(), others.ToHashSet());
        return RequireSameBytesAsync(Path.Combine(before, source), Path.Combine(folder, source));
    }

    /// <summary>Writes units of random bytes, and of zeroes that have a place.</summary>
    private static async Task FillAsync(string path, int units)
    {
        await using var disk = await OpenAsync(path, readOnly: false);
        var random = new Random(Path.GetFileName(path).Length + units);
        var bytes = new byte[Unit];
        for (var unit = 0; unit < units; unit++)
        {
            if (random.Next(3) == 0)
                bytes.AsSpan().Clear();
            else
                random.NextBytes(bytes);
            await disk.WriteAsync((long)unit * Unit, bytes, WriteFlags.None, Token);
        }
    }
}
