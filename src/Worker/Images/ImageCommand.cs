using System.Text.Json;
using Godwit.Api;
using Godwit.Api.Workers;
using Godwit.Storage.Chains;
using Godwit.Storage.Formats;
using Godwit.Storage.Operations;
using Godwit.Worker.Control;
using Godwit.Worker.Serving;

namespace Godwit.Worker.Images;

/// <summary>
/// Looks at and makes image files in a process of its own, so that the host never parses what a guest may have written.
/// Prints one line of JSON: an <see cref="ImageReport"/>, or a <see cref="Problem"/> with exit code 1.
/// </summary>
internal static class ImageCommand
{
    /// <summary>Describes an existing file.</summary>
    internal static Task<int> DescribeAsync(WorkerOptions.ImageDescribe options, TextWriter output) =>
        RunAsync(output, () => DescribeAsync(options.Path));

    /// <summary>Makes a new file and describes it; removes it again when that fails.</summary>
    internal static Task<int> CreateAsync(WorkerOptions.ImageCreate options, TextWriter output) => RunAsync(output, async () =>
    {
        await DiskImage.CreateAsync(options.Path, options.Format.ToStorage(), options.Size, null, CancellationToken.None).ConfigureAwait(false);
        return await DescribeAsync(options.Path).ConfigureAwait(false);
    });

    /// <summary>Makes a differencing image and describes it; removes it again when that fails.</summary>
    internal static Task<int> CreateChildAsync(WorkerOptions.ImageCreateChild options, TextWriter output) => RunAsync(output, async () =>
    {
        await ChildImage.CreateFromAsync(
            options.Path, options.Parent, null, null, new ChainOptions { ParentFolders = options.Folders }, CancellationToken.None).ConfigureAwait(false);
        return await DescribeAsync(options.Path).ConfigureAwait(false);
    });

    /// <summary>Merges a layer into its parent and describes the parent; killed at any instant the same command goes on.</summary>
    internal static Task<int> MergeAsync(WorkerOptions.ImageMerge options, TextWriter output) => RunAsync(output, async () =>
    {
        var chain = new ChainOptions { ParentFolders = options.Folders };
        var merge = await ChainMerge.PlanAsync(options.Leaf, options.Layer, null, chain, CancellationToken.None).ConfigureAwait(false);
        await merge.RequireNoOtherChildrenAsync(CancellationToken.None).ConfigureAwait(false);
        await merge.RunAsync(static _ => { }, CancellationToken.None).ConfigureAwait(false);
        return await DescribeAsync(merge.Target.Path).ConfigureAwait(false) with { Path = merge.Target.Path };
    });

    private static async Task<ImageReport> DescribeAsync(string path)
    {
        var image = await DiskImage.DescribeAsync(path, CancellationToken.None).ConfigureAwait(false);
        return new ImageReport(image.Format.ToApi(), image.Size, image.AllocatedBytes);
    }

    private static async Task<int> RunAsync(TextWriter output, Func<Task<ImageReport>> command)
    {
        try
        {
            var report = await command().ConfigureAwait(false);
            await output.WriteLineAsync(JsonSerializer.Serialize(report, ApiJson.Default.ImageReport)).ConfigureAwait(false);
            return 0;
        }
        catch (Exception e) when (Problems.TryOf(e) is { } problem)
        {
            await output.WriteLineAsync(JsonSerializer.Serialize(problem, ApiJson.Default.Problem)).ConfigureAwait(false);
            return 1;
        }
    }
}
