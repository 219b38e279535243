namespace Godwit.ControlPlane.Disks;

/// <summary>What a file is called until its job gives it its name.</summary>
internal static class UnfinishedFile
{
    /// <summary>Its path; only this job can have made it, so deleting it is always safe.</summary>
    /// <param name="target">Where it is to be in the end.</param>
    /// <param name="job">The job.</param>
    public static string PathOf(string target, Guid job) => $"{target}.{job.ToString("N")[..8]}.partial";
}
