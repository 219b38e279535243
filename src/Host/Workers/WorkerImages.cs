using System.Globalization;
using System.Text.Json;
using Godwit.Api;
using Godwit.Api.Disks;
using Godwit.Api.Workers;
using Godwit.ControlPlane.Disks;

namespace Godwit.Host.Workers;

/// <summary>Offline images through <c>godwit-worker image</c>: a hostile image can only hurt a process that parses one image.</summary>
internal sealed class WorkerImages(WorkerProgram program, ParentFolders parents, TimeProvider time) : IImages
{
    private static readonly TimeSpan DescribeLimit = TimeSpan.FromSeconds(30);

    // A fixed image is written in full where the file system cannot reserve space.
    private static readonly TimeSpan CreateLimit = TimeSpan.FromHours(2);

    // As long as it takes: who asks cancels, and what was copied is copied again.
    private static readonly TimeSpan MergeLimit = TimeSpan.FromDays(2);

    public Task<ImageReport> DescribeAsync(string path, CancellationToken cancellationToken) =>
        RunAsync(path, ["image", "info", path], DescribeLimit, cancellationToken);

    public Task CreateAsync(string path, long size, DiskFormat format, CancellationToken cancellationToken) => RunAsync(
        path,
        ["image", "create", path, "--size", size.ToString(CultureInfo.InvariantCulture), "--format", Word(format)],
        CreateLimit,
        cancellationToken);

    public Task<ImageReport> CreateChildAsync(string parent, string path, CancellationToken cancellationToken) => RunAsync(
        path, ["image", "create", path, "--parent", parent, "--folders", Folders], DescribeLimit, cancellationToken);

    public Task<ImageReport> MergeAsync(string leaf, string? layer, CancellationToken cancellationToken) => RunAsync(
        layer ?? leaf, ["image", "merge", leaf, "--layer", layer ?? leaf, "--folders", Folders], MergeLimit, cancellationToken);

    /// <summary>An image names its parent itself: where parents may be goes with every command that follows it.</summary>
    private string Folders => JsonSerializer.Serialize(parents, ApiJson.Default.ParentFolders);

    internal static string Word(DiskFormat format) => format switch
    {
        DiskFormat.Raw => "raw",
        DiskFormat.VhdxDynamic => "vhdx",
        DiskFormat.VhdxFixed => "vhdx-fixed",
        DiskFormat.VhdDynamic => "vhd",
        DiskFormat.VhdFixed => "vhd-fixed",
        DiskFormat.VhdxDifferencing or DiskFormat.VhdDifferencing => throw new GodwitException(
            ErrorCode.Unsupported, "A differencing disk is made from its parent.", "make it with godwit disk create --parent, then give its path"),
        _ => throw new GodwitException(ErrorCode.Unsupported, $"The format {format} is unknown."),
    };

    private async Task<ImageReport> RunAsync(
        string path, IReadOnlyList<string> arguments, TimeSpan limit, CancellationToken cancellationToken)
    {
        using var stop = new CancellationTokenSource(limit, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(stop.Token, cancellationToken);
        try
        {
            var result = await program.RunAsync(arguments, both.Token);
            return result.ExitCode == 0
                ? JsonSerializer.Deserialize(result.Output, ApiJson.Default.ImageReport)!
                : throw Refusal(path, result);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new GodwitException(ErrorCode.Unavailable, $"'{path}' could not be worked on within {limit.TotalSeconds:0} s.");
        }
    }

    private static GodwitException Refusal(string path, WorkerProgram.Result result)
    {
        try
        {
            if (JsonSerializer.Deserialize(result.Output, ApiJson.Default.Problem) is { } problem)
            {
                return new GodwitException(problem);
            }
        }
        catch (JsonException)
        {
            // It died before it could say why.
        }
        return new GodwitException(
            ErrorCode.Corrupt, $"'{path}': godwit-worker ended with {result.ExitCode}: {(result.Error + result.Output).Trim()}");
    }
}
