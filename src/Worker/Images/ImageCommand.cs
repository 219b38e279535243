using System.Text.Json;
using Godwit.Api;
using Godwit.Api.Workers;
using Godwit.Storage.Formats;
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
        ReportAsync(options.Path, output);

    /// <summary>Makes a new file and describes it; removes it again when that fails.</summary>
    internal static async Task<int> CreateAsync(WorkerOptions.ImageCreate options, TextWriter output)
    {
        try
        {
            await DiskImage.CreateAsync(options.Path, options.Format.ToStorage(), options.Size, null, CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception e) when (Problems.TryOf(e) is not null)
        {
            return Refuse(Problems.TryOf(e)!, output);
        }

        return await ReportAsync(options.Path, output).ConfigureAwait(false);
    }

    private static async Task<int> ReportAsync(string path, TextWriter output)
    {
        try
        {
            var image = await DiskImage.DescribeAsync(path, CancellationToken.None).ConfigureAwait(false);
            var report = new ImageReport(image.Format.ToApi(), image.Size, image.AllocatedBytes);
            await output.WriteLineAsync(JsonSerializer.Serialize(report, ApiJson.Default.ImageReport)).ConfigureAwait(false);
            return 0;
        }
        catch (Exception e) when (Problems.TryOf(e) is not null)
        {
            return Refuse(Problems.TryOf(e)!, output);
        }
    }

    private static int Refuse(Problem problem, TextWriter output)
    {
        output.WriteLine(JsonSerializer.Serialize(problem, ApiJson.Default.Problem));
        return 1;
    }
}
