using Godwit.Api;

namespace Godwit.Host.Http;

/// <summary>The HTTP status of each error code. A test walks every value.</summary>
internal static class ProblemStatus
{
    public static int Of(ErrorCode code) => code switch
    {
        ErrorCode.InvalidRequest => StatusCodes.Status400BadRequest,
        ErrorCode.AccessDenied => StatusCodes.Status403Forbidden,
        ErrorCode.NotFound => StatusCodes.Status404NotFound,
        ErrorCode.AlreadyExists => StatusCodes.Status409Conflict,
        ErrorCode.WrongState => StatusCodes.Status409Conflict,
        ErrorCode.Busy => StatusCodes.Status409Conflict,
        ErrorCode.Cancelled => StatusCodes.Status409Conflict,
        ErrorCode.Corrupt => StatusCodes.Status422UnprocessableEntity,
        ErrorCode.NoSpace => StatusCodes.Status507InsufficientStorage,
        ErrorCode.Unsupported => StatusCodes.Status501NotImplemented,
        ErrorCode.Unavailable => StatusCodes.Status503ServiceUnavailable,
        ErrorCode.Unauthenticated => StatusCodes.Status401Unauthorized,
        ErrorCode.Forbidden => StatusCodes.Status403Forbidden,
        ErrorCode.TooManyRequests => StatusCodes.Status429TooManyRequests,
        ErrorCode.IoFailed => StatusCodes.Status500InternalServerError,
        ErrorCode.Internal => StatusCodes.Status500InternalServerError,
        _ => StatusCodes.Status500InternalServerError,
    };
}
